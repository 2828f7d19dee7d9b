"""`safetyamp doctor`: asks every outside system one cheap question and reports what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

from safetyamp_pipelines.operations.advice import told
from safetyamp_pipelines.operations.alerts.mail import MailChannel
from safetyamp_pipelines.operations.opening import open_ledger
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import SyncError
from safetyamp_pipelines.systems.entra import graph_client
from safetyamp_pipelines.systems.safetyamp import safetyamp_client
from safetyamp_pipelines.systems.samsara import samsara_client
from safetyamp_pipelines.systems.snapshots.store import snapshot_store
from safetyamp_pipelines.systems.viewpoint.reader import viewpoint_reader


@dataclass(frozen=True)
class Finding:
    """What one system answered, or what is wrong with it."""

    system: str
    ok: bool
    text: str


def examine(settings: Settings) -> Iterator[Finding]:
    """One finding per system, in the order of the flow; never raises what a system can raise."""
    checks: dict[str, Callable[[], str]] = {
        "viewpoint": lambda: _asked(viewpoint_reader(settings)),
        "entra": lambda: _asked(graph_client(settings)),
        "samsara": lambda: _asked(samsara_client(settings)),
        "safetyamp": lambda: _asked(safetyamp_client(settings)),
        "ledger": lambda: _ledger(settings),
        "snapshots": lambda: _snapshots(settings),
    }
    if settings.alert_email_to:
        checks["mail"] = lambda: _mail(settings)
    for system, check in checks.items():
        try:
            yield Finding(system, True, check())
        except SyncError as error:
            yield Finding(system, False, told(error))


def _asked(client: object) -> str:
    with closing(client):  # type: ignore[type-var]
        return str(client.check())  # type: ignore[attr-defined]


def _mail(settings: Settings) -> str:
    return MailChannel(settings).check()


def _ledger(settings: Settings) -> str:
    with open_ledger(settings) as ledger:
        pause = ledger.pause_state()
        return f"open, migrated; paused by {pause.who}: {pause.reason}" if pause else "open, migrated, not paused"


def _snapshots(settings: Settings) -> str:
    store = snapshot_store(settings)
    ref = store.publish("doctor", "doctor", b"doctor", {}, kind="doctor")
    store.read(ref)
    store.prune("doctor")
    return "can be written and read"
