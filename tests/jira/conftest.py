"""Databases of both kinds, and Jiras made with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jira_world import COLUMNS, NOBODY, Jiras, MakeJiras

from safetyamp_pipelines.sandbox import JiraSpec, Sandbox
from safetyamp_pipelines.settings.loading import load_settings


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh database; every test that asks for it runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jira.db"
    made: str = request.getfixturevalue("new_postgresql")()
    return made


@pytest.fixture
def make_jiras(tmp_path: Path) -> Iterator[MakeJiras]:
    """Makes two Jiras with so many issues a project, and the mapping of this module saved."""
    made: list[Jiras] = []

    def make(issues: int = 12, database: str | None = None, columns: Mapping[str, Any] = COLUMNS, **more: str) -> Jiras:
        box = Sandbox(NOBODY, jira=JiraSpec(issues=issues)).start()
        url = database or f"sqlite:///{tmp_path}/jira.db"
        environ = {**box.environment, "JIRA_DATABASE_URL": url, "HTTP_REQUEST_TIMEOUT": "5", **more}
        jiras = Jiras(box, load_settings(environ, env_file=None))
        made.append(jiras)
        jiras.map(columns)
        return jiras

    yield make
    for jiras in made:
        jiras.eyes.__exit__(None, None, None)
        jiras.box.stop()


@pytest.fixture
def jiras(make_jiras: MakeJiras) -> Jiras:
    return make_jiras()
