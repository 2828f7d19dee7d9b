"""`safetyamp doctor`: makes one cheap call to every outside system and reports what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass

from sqlalchemy import URL, text

from safetyamp_pipelines.ledger import Ledger, LedgerUnusable
from safetyamp_pipelines.ledger.database import folder_of, ledger_address, postgresql_engine, translated
from safetyamp_pipelines.ledger.ledger_errors import NoLedger
from safetyamp_pipelines.operations.alerts.mail import MailChannel
from safetyamp_pipelines.operations.diagnosis import diagnose
from safetyamp_pipelines.settings.loading import dagster_postgres_url
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.settings.private import private_folder
from safetyamp_pipelines.sync.model.errors import Refusal, SyncError
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
    """One finding per system, each as soon as it is known: all are called in parallel, so a slow one delays no other.
    Errors of a system are findings and are never raised."""
    checks: dict[str, Callable[[], str]] = {
        "viewpoint": lambda: _check(viewpoint_reader(settings)),
        "entra": lambda: _check(graph_client(settings)),
        "samsara": lambda: _check(samsara_client(settings)),
        "safetyamp": lambda: _check(safetyamp_client(settings)),
        "ledger": lambda: _ledger(settings),
        "snapshots": lambda: _snapshots(settings),
    }
    if settings.alert_email_to:
        checks["mail"] = lambda: _mail(settings)
    if (dagster := dagster_postgres_url()) is not None:
        checks["dagster"] = lambda: _dagster(dagster)
    with ThreadPoolExecutor(len(checks)) as asking:
        asked = [asking.submit(_found, system, check) for system, check in checks.items()]
        yield from (finding.result() for finding in as_completed(asked))


def _found(system: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(system, True, check())
    except SyncError as error:
        return Finding(system, False, str(diagnose(error)))


def _check(client: object) -> str:
    with closing(client):  # type: ignore[type-var]
        return str(client.check())  # type: ignore[attr-defined]


def _mail(settings: Settings) -> str:
    return MailChannel(settings).check()


def _ledger(settings: Settings) -> str:
    """Tries a write, as a push begins with one. Where there is no ledger yet, none is created."""
    url = settings.ledger_url.get_secret_value()
    try:
        with Ledger.open(url, create=False) as ledger:
            ledger.try_write()
            pause = ledger.pause_state()
            state = f"paused by {pause.who}: {pause.reason}" if pause else "not paused"
            return f"{ledger.name} can be written; {state}"
    except NoLedger:
        if (folder := folder_of(url)) is not None:
            try:
                private_folder(folder)
            except OSError as error:
                raise Refusal(f"{folder} cannot be created ({error.strerror}): check LEDGER_URL") from None
        return "none yet: the first plan or sync creates it"


def _dagster(url: URL) -> str:
    """Dagster's own database, without which no run starts."""
    engine = postgresql_engine(ledger_address(url))
    try:
        with translated(engine), engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except LedgerUnusable as error:
        raise Refusal(str(error).replace("the ledger", "DAGSTER_POSTGRES_URL:", 1)) from None
    finally:
        engine.dispose()
    return f"Dagster's database answers on {url.host}"


def _snapshots(settings: Settings) -> str:
    store = snapshot_store(settings)
    ref = store.publish("doctor", "doctor", b"doctor", {}, kind="doctor")
    store.read(ref)
    store.prune("doctor")
    return "can be written and read"
