"""The outside systems as Dagster resources: who holds a client for a run. The clients are in the modules beside it.

A client's module brings the libraries it calls with, and is imported when a run first asks for the client: loading the
definitions must not cost what reading a database costs.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import PrivateAttr

from safetyamp_pipelines.resources.settings import SettingsResource

if TYPE_CHECKING:
    from safetyamp_pipelines.systems.entra import GraphClient
    from safetyamp_pipelines.systems.safetyamp import SafetyAmpClient
    from safetyamp_pipelines.systems.samsara import SamsaraClient
    from safetyamp_pipelines.systems.viewpoint.reader import ViewpointReader


class SafetyAmp(dg.ConfigurableResource[Any]):
    """SafetyAmp's REST API, within the call budget."""

    settings: SettingsResource
    _client: SafetyAmpClient | None = PrivateAttr(default=None)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def client(self) -> SafetyAmpClient:
        """The client of this run, made when first asked for."""
        from safetyamp_pipelines.systems.safetyamp import safetyamp_client

        with self._lock:
            if self._client is None:
                self._client = safetyamp_client(self.settings.get())
            return self._client

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the client's connections."""
        if self._client is not None:
            self._client.close()


class Graph(dg.ConfigurableResource[Any]):
    """Microsoft Graph, for the users of Entra ID."""

    settings: SettingsResource
    _client: GraphClient | None = PrivateAttr(default=None)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def client(self) -> GraphClient:
        """The client of this run, made when first asked for."""
        from safetyamp_pipelines.systems.entra import graph_client

        with self._lock:
            if self._client is None:
                self._client = graph_client(self.settings.get())
            return self._client

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the client's connections."""
        if self._client is not None:
            self._client.close()


class Samsara(dg.ConfigurableResource[Any]):
    """Samsara's fleet API, for vehicles and drivers."""

    settings: SettingsResource
    _client: SamsaraClient | None = PrivateAttr(default=None)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def client(self) -> SamsaraClient:
        """The client of this run, made when first asked for."""
        from safetyamp_pipelines.systems.samsara import samsara_client

        with self._lock:
            if self._client is None:
                self._client = samsara_client(self.settings.get())
            return self._client

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the client's connections."""
        if self._client is not None:
            self._client.close()


class Viewpoint(dg.ConfigurableResource[Any]):
    """Viewpoint Vista: `reader()` connects at its first read and is closed with the run."""

    settings: SettingsResource
    _reader: ViewpointReader | None = PrivateAttr(default=None)

    def reader(self) -> ViewpointReader:
        """The one reader of this process."""
        from safetyamp_pipelines.systems.viewpoint.reader import viewpoint_reader

        if self._reader is None:
            self._reader = viewpoint_reader(self.settings.get())
        return self._reader

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the reader's connections."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
