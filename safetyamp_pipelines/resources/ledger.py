"""The ledger as a Dagster resource, and the one place that opens it from the settings. Its tables are in `ledger/`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import PrivateAttr

from safetyamp_pipelines.resources.settings import SettingsResource
from safetyamp_pipelines.settings.model import Settings

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger import Ledger


def open_ledger(settings: Settings) -> Ledger:
    """The ledger of LEDGER_URL, migrated. Raises LedgerUnusable, which says what is wrong without the password."""
    from safetyamp_pipelines.ledger import Ledger  # brings SQLAlchemy, which loading the definitions does without

    return Ledger.open(settings.ledger_url.get_secret_value())


class LedgerResource(dg.ConfigurableResource[None]):
    """The ledger of the settings, opened on first use and closed when the run ends. Its URL is in no run config."""

    settings: SettingsResource
    _ledger: Ledger | None = PrivateAttr(default=None)
    _opening: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def get(self) -> Ledger:
        """The open ledger; the same one for every thread of the run."""
        with self._opening:
            if self._ledger is None:
                self._ledger = open_ledger(self.settings.get())
            return self._ledger

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the connections, if any were opened."""
        with self._opening:
            if self._ledger is not None:
                self._ledger.close()
                self._ledger = None
