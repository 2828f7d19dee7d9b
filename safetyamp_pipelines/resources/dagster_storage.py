"""Where Dagster keeps runs and events: SQLite, or PostgreSQL when the environment says so. Named in dagster.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster._config.config_schema import UserConfigSchema
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from safetyamp_pipelines.settings.loading import dagster_home, dagster_postgres_url

DRIVER = "postgresql+psycopg2"
"""SQLAlchemy 2.1 takes psycopg 3 for a bare `postgresql`, and Dagster ships psycopg2 (contract Dagster §0.6)."""


class StorageByEnvironment(DagsterSqliteStorage):
    """SQLite below Dagster's home, unless DAGSTER_POSTGRES_URL is set: dagster.yaml itself knows no conditions, and
    fails on a variable that is not set."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Nothing: the environment says it all."""
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, _inst_data: ConfigurableClassData | None, _config_value: Mapping[str, Any]
    ) -> DagsterStorage:
        """The storage itself. Dagster only asks that this class is one, not that it makes its own kind."""
        url = dagster_postgres_url()
        if url is None:
            return DagsterSqliteStorage.from_local(str(dagster_home()))
        from dagster_postgres.storage import DagsterPostgresStorage

        return DagsterPostgresStorage(url.set(drivername=DRIVER).render_as_string(hide_password=False))
