"""Settings, outside systems, the ledger and the channels of alerts as Dagster resources: who holds what for a run.

What they wrap is in `settings/`, `systems/`, `ledger/` and `operations/alerts/`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import dagster as dg
from pydantic import PrivateAttr

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.alerts.channels import Channel, channels_of, owner_channels
from safetyamp_pipelines.operations.alerts.webhook import beat
from safetyamp_pipelines.operations.call_recorder import CallRecorder
from safetyamp_pipelines.operations.lease import Beating
from safetyamp_pipelines.operations.opening import open_ledger
from safetyamp_pipelines.resources.dead_runs import mark_begun
from safetyamp_pipelines.settings.loading import load_settings, settings_stamp
from safetyamp_pipelines.settings.model import Settings, SettingsError
from safetyamp_pipelines.settings.vault import ClientFactory

if TYPE_CHECKING:
    from safetyamp_pipelines.operations.alerts.mail import MailChannel
    from safetyamp_pipelines.systems.entra import GraphClient
    from safetyamp_pipelines.systems.safetyamp import SafetyAmpClient
    from safetyamp_pipelines.systems.samsara import SamsaraClient
    from safetyamp_pipelines.systems.viewpoint.reader import ViewpointReader


VAULT_SECONDS = 300.0


class SettingsResource(dg.ConfigurableResource[Settings]):
    """All settings, read when first asked for in a run or tick, and the same to its end. It has no config, so that no
    secret can show in the UI."""

    # On the class, not the instance: Dagster rebuilds resources from their config for each run and for each
    # resource that nests them, and the private state of an instance does not come along.
    _source: ClassVar[_Source | None] = None

    @classmethod
    def of(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        vault_client: ClientFactory | None = None,
        vault_seconds: float = VAULT_SECONDS,
    ) -> SettingsResource:
        """A resource whose settings are read once, however many resources nest it.

        `environ` replaces the process environment and .env; None means those two. Secrets of Key Vault are believed
        for `vault_seconds`: each is a call, and a sensor ticks twice a minute.
        """
        body = {
            "_source": _Source(environ, vault_client, vault_seconds),
            "__doc__": cls.__doc__,
            "__module__": cls.__module__,
        }
        kind: type[SettingsResource] = type(cls.__name__, (cls,), body)
        return kind()

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """A run or a tick begins: what was changed since the last one counts. Every step of a run comes by here."""
        if self._source is None or not self._source.begin(context.run_id):
            return
        if context.instance is not None and context.run is not None:
            mark_begun(context.instance, context.run)

    def get(self) -> Settings:
        """The validated settings; raises SettingsError listing every problem."""
        return (self._source or _Source(None)).settings


class _Source:
    """Where settings come from, and the settings once they were read. A code server runs for weeks: it reads them again
    for a run or tick where a file has changed, or where a vault was last asked minutes ago."""

    def __init__(
        self,
        environ: Mapping[str, str] | None,
        vault_client: ClientFactory | None = None,
        vault_seconds: float = VAULT_SECONDS,
    ) -> None:
        self._environ, self._vault_client, self._vault_seconds = environ, vault_client, vault_seconds
        self._lock = threading.Lock()
        self._loaded: Settings | None = None
        self._stamp: object = None
        self._read_at = 0.0
        self._run_id: str | None = None

    def begin(self, run_id: str | None) -> bool:
        """Forget what may be out of date. False for a run that has begun before, and goes on with what it has read."""
        with self._lock:
            if run_id is not None and run_id == self._run_id:
                return False
            self._run_id = run_id
            if self._loaded is not None and self._is_old(self._loaded):
                self._loaded = None
            return True

    def _is_old(self, settings: Settings) -> bool:
        is_late = settings.vault_url() is not None and time.monotonic() - self._read_at > self._vault_seconds
        return is_late or settings_stamp(settings, self._environ) != self._stamp

    @property
    def settings(self) -> Settings:
        with self._lock:
            if self._loaded is None:
                own = self._environ
                where: dict[str, Any] = {} if own is None else {"environ": own, "env_file": None}
                self._loaded = load_settings(**where, vault_client_factory=self._vault_client)
                self._stamp, self._read_at = settings_stamp(self._loaded, own), time.monotonic()
            return self._loaded


class _Held(dg.ConfigurableResource[Any]):
    """Something made from the settings on first use, the same for every thread of the run, and closed with the run."""

    settings: SettingsResource
    _made: Any = PrivateAttr(default=None)
    _making: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def _make(self, settings: Settings) -> Any:
        raise NotImplementedError

    def _get(self) -> Any:
        with self._making:
            if self._made is None:
                self._made = self._make(self.settings.get())
            return self._made

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close it, if it was made."""
        with self._making:
            if self._made is not None:
                self._made.close()
                self._made = None


class _Calling(_Held):
    """A client whose calls are recorded in the ledger."""

    _run_id: str = PrivateAttr(default="")
    _recorder: CallRecorder | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Remember the run, under which the calls are recorded."""
        self._run_id = context.run_id or ""

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the client, and write the last calls down."""
        super().teardown_after_execution(context)
        if self._recorder is not None:
            self._recorder.close()

    def _recorded(self, client: Any, settings: Settings) -> Any:
        self._recorder = client.http.on_call = CallRecorder(
            lambda: open_ledger(settings), self._run_id, trace_to=settings.otel_exporter_otlp_endpoint
        )
        return client


class SafetyAmp(_Calling):
    """SafetyAmp's REST API, within the call budget."""

    def client(self) -> SafetyAmpClient:
        """The client of this run."""
        client: SafetyAmpClient = self._get()
        return client

    def _make(self, settings: Settings) -> Any:
        return self._recorded(_connections().safetyamp_client(settings), settings)


class Graph(_Calling):
    """Microsoft Graph, for the users of Entra ID."""

    def client(self) -> GraphClient:
        """The client of this run."""
        client: GraphClient = self._get()
        return client

    def _make(self, settings: Settings) -> Any:
        return self._recorded(_connections().graph_client(settings), settings)


class Samsara(_Calling):
    """Samsara's fleet API, for vehicles and drivers."""

    def client(self) -> SamsaraClient:
        """The client of this run."""
        client: SamsaraClient = self._get()
        return client

    def _make(self, settings: Settings) -> Any:
        return self._recorded(_connections().samsara_client(settings), settings)


class Viewpoint(_Held):
    """Viewpoint Vista; its reader connects at the first read."""

    def reader(self) -> ViewpointReader:
        """The reader of this run."""
        reader: ViewpointReader = self._get()
        return reader

    def _make(self, settings: Settings) -> Any:
        return _connections().viewpoint_reader(settings)


class LedgerResource(_Held):
    """The ledger of the settings. Its URL is in no run config.

    While a run has it, others see by beats in the ledger that the run lives.
    """

    _beating: Beating | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Begin with the first step of a run, whatever that is."""
        if context.instance is not None and context.run_id is not None:
            self._beating = Beating(self.get, context.run_id)
            self._beating.start()

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """The run is over."""
        if self._beating is not None:
            self._beating.stop()
        super().teardown_after_execution(context)

    def get(self) -> Ledger:
        """The open ledger."""
        ledger: Ledger = self._get()
        return ledger

    def _make(self, settings: Settings) -> Ledger:
        return open_ledger(settings)


class NotifierResource(dg.ConfigurableResource[Any]):
    """Notifies people, by mail and webhook. Addresses and logins are in no run config."""

    settings: SettingsResource

    def channels(self) -> Mapping[str, Channel]:
        """The configured channels by name; none when there are none. While settings are wrong, those whose own are
        right, since somebody must hear of it; raises SettingsError when nobody can."""
        try:
            return channels_of(self.settings.get())
        except SettingsError as error:
            usable = channels_of(error.usable) if error.usable is not None else {}
            if not usable:
                raise
            return usable

    def owners(self) -> Mapping[str, MailChannel]:
        """The mail to each owner that sync.yaml names, by address; raises SettingsError."""
        return owner_channels(self.settings.get())

    def beat(self) -> bool:
        """Call HEARTBEAT_URL, whose service notifies people when the calls stop; whether there is one.

        Raises NotDelivered when it could not be called.
        """
        settings = self.settings.get()
        if settings.heartbeat_url is None:
            return False
        beat(settings)
        return True


def _connections() -> Any:
    from safetyamp_pipelines.systems import connections  # brings requests, msal, azure: only runs need them

    return connections
