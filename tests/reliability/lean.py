"""One run of all entities without Dagster: the same clients, planners, guards and push, at a tenth of the time.

What Dagster adds (steps, checks, storage) is tried by the tests that run `safetyamp sync` itself.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.journal import remembered
from safetyamp_pipelines.operations.push_step import push_plan
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES, references
from safetyamp_pipelines.sync.model.errors import SyncError
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.planning.derive import plan_entity
from safetyamp_pipelines.sync.planning.expected import expected_references
from safetyamp_pipelines.systems.entra import graph_client
from safetyamp_pipelines.systems.safetyamp import safetyamp_client
from safetyamp_pipelines.systems.samsara import samsara_client
from safetyamp_pipelines.systems.viewpoint.reader import viewpoint_reader

TABLES = ("asset_types", "assets", "roles", "site_clusters", "sites", "user_titles", "users")
OBSERVED = "safetyamp_observed/"
Settled = Callable[[], None]
ASKED = {"who": "Kim", "login": "kim@host", "reason": "they are right", "lasts": timedelta(days=2)}


@dataclass
class LeanRun:
    """What one run did: changes planned, the guards that object, verdicts by name, and the error that ended it
    early."""

    planned: int = 0
    guards: set[str] = field(default_factory=set)
    verdicts: dict[str, int] = field(default_factory=dict)
    error: str | None = None

    @property
    def is_clean(self) -> bool:
        """Whether the run ended by itself with every record as it should be, or not to be synced."""
        bad = {"failed", "blocked", "stale", "not_attempted"}
        return self.error is None and not self.guards and not bad & set(self.verdicts)


def lean_run(environment: Mapping[str, str], hours: int = 0, settled: Settled = lambda: None) -> LeanRun:
    """Read, plan and push everything. The ledger's clock is ahead by `hours`, so that a dead run's lease is over;
    `settled` is told of every change that has its answer in the ledger."""
    settings, run = load_settings(environment, env_file=None), LeanRun()
    ledger = Ledger.open(
        settings.ledger_url.get_secret_value(), clock=lambda: datetime.now(UTC) + timedelta(hours=hours)
    )
    with closing(ledger):
        try:
            _run(settings, ledger, run, settled)
        except SyncError as error:
            run.error = type(error).__name__
    return run


def kill_after(environment: Mapping[str, str], changes: int) -> None:
    """A run that ends with SIGKILL as soon as so many changes have their answers in the ledger; 0 is never."""
    left = changes

    def settled() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    lean_run(environment, settled=settled)


def _run(settings: Settings, ledger: Ledger, run: LeanRun, settled: Settled) -> None:
    with ExitStack() as open_clients:
        client = safetyamp_client(settings)
        open_clients.callback(client.close)
        snapshots = _sources(settings, open_clients)
        for table in TABLES:
            previous = ledger.previous_rows(table)
            taken = client.list_table(table, read_at=_text(ledger.now()), previous_rows=previous)
            ledger.record_observation(table, len(taken.records), datetime.now(UTC))
            snapshots[OBSERVED + table] = taken
        plans = _plans(settings, ledger, snapshots)
        run.planned = sum(len(plan.changes) for plan in plans)
        run.guards = {refused.guard for plan in plans for refused in plan.refused}
        for plan in plans:
            spec = BY_NAME[plan.entity]
            pushed = push_plan(
                spec,
                plan,
                client=client,
                ledger=ledger,
                settings=settings,
                references=references({t: snapshots[OBSERVED + t].records for t in spec.observed}),
                observed_at=datetime.fromisoformat(plan.as_of),
                run_id="lean",
                progress=lambda *_: settled(),
            )
            for name, number in pushed.result.counts().items():
                run.verdicts[str(name)] = run.verdicts.get(str(name), 0) + number
            if pushed.error is not None:
                raise pushed.error


def looked_at(settings: Settings, ledger: Ledger) -> list[Plan]:
    """The plans of everything as it stands now; nothing is pushed."""
    with ExitStack() as open_clients:
        client = safetyamp_client(settings)
        open_clients.callback(client.close)
        snapshots = _sources(settings, open_clients)
        for table in TABLES:
            taken = client.list_table(table, read_at=_now(), previous_rows=None)
            snapshots[OBSERVED + table] = taken
        return _plans(settings, ledger, snapshots)


def approve_held(environment: Mapping[str, str], guard: str | None = None) -> int:
    """Approve, as a person does, what the guards hold now, or that one guard; the number of changes."""
    settings = load_settings(environment, env_file=None)
    with closing(Ledger.open(settings.ledger_url.get_secret_value())) as ledger:
        held = [(plan.entity, one) for plan in looked_at(settings, ledger) for one in plan.held]
        meant = [(entity, one) for entity, one in held if guard in (None, one.guard)]
        for entity, one in meant:
            ledger.approve_changes(entity, [(one.change.source_key, one.change.hash)], guard=one.guard, **ASKED)
    return len(meant)


def _sources(settings: Settings, open_clients: ExitStack) -> dict[str, Snapshot]:
    snapshots = dict(viewpoint_reader(settings).read_all(_now()))
    graph, samsara = graph_client(settings), samsara_client(settings)
    open_clients.callback(graph.close)
    open_clients.callback(samsara.close)
    snapshots["entra/users"] = graph.list_users(expand_manager=True, read_at=_now())
    snapshots["samsara/drivers"] = samsara.list_drivers(read_at=_now())
    snapshots["samsara/vehicles"] = samsara.list_vehicles(read_at=_now())
    return snapshots


def _plans(settings: Settings, ledger: Ledger, snapshots: dict[str, Snapshot]) -> list[Plan]:
    config, plans = settings.sync_config(), list[Plan]()
    observed = {name.removeprefix(OBSERVED): s.records for name, s in snapshots.items() if name.startswith(OBSERVED)}
    for spec in ENTITIES:
        expected = expected_references(observed, [(BY_NAME[plan.entity], plan) for plan in plans])
        memory = replace(remembered(ledger, spec.name), approved=ledger.approved(spec.name))
        inputs = Inputs(snapshots, expected, memory, config)
        plans.append(plan_entity(spec, inputs, config))
    return plans


def _now() -> str:
    return _text(datetime.now(UTC))


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
