"""What still goes through when sources, tables, plans and guards are taken away: the employees of one company, planned
and pushed in this process, without Dagster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reliability.lean import OBSERVED, TABLES, _plans, _sources, lean_run
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.plan_step import make_plan
from safetyamp_pipelines.operations.push_step import push_plan
from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.entities.registry import BY_NAME, references
from safetyamp_pipelines.sync.model.plan import Action, Change, Plan
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.rules.config import SyncConfig
from safetyamp_pipelines.systems.safetyamp import SafetyAmpClient, safetyamp_client

SPEC = BY_NAME["employees"]
UNREAD = (
    *(name for name in SPEC.sources if name != SPEC.key.table),
    *(OBSERVED + table for table in SPEC.observed if table != SPEC.table),
    *(f"plan/{name}" for name in SPEC.after),
)
"""What a plan of the employees can do without: all but the employees themselves and SafetyAmp's users."""
STRICT = {"records": 1, "share": 0.0001}
GUARDS = {f"guard {name}": {name: STRICT} for name in ("creates", "updates", "moves")}
"""Guards that hold all but one change of their kind; not the one on deactivations: leavers are what that one holds."""
PARTS = (*UNREAD, *GUARDS)
KINDS = ("leavers off", "new people", "names", "e-mails")


@dataclass
class Company:
    """A company that SafetyAmp was in step with, and in which then people left, came, and changed."""

    box: Sandbox
    settings: Settings
    ledger: Ledger
    client: SafetyAmpClient
    snapshots: dict[str, Snapshot]
    plans: dict[str, Plan]
    leaver: str

    def plan(self, *taken: str) -> Plan:
        """The plan of the employees without these parts."""
        values: dict[str, Any] = {**self.snapshots, **{f"plan/{name}": plan for name, plan in self.plans.items()}}
        unread = {name: "failed: ReadError" for name in taken if name in UNREAD}
        config = self.config(taken)
        return make_plan(SPEC, values.__getitem__, unread, ledger=self.ledger, config=config, run_id="taken away")

    def config(self, taken: Sequence[str]) -> SyncConfig:
        guards = {name: limit for part in taken if part in GUARDS for name, limit in GUARDS[part].items()}
        rules = self.settings.sync_config().model_dump(mode="json", by_alias=True)
        return SyncConfig.model_validate({**rules, "guards": {**rules["guards"], **guards}})

    def push(self, plan: Plan, *taken: str) -> None:
        """Push it, as the run without these parts would."""
        tables = [table for table in SPEC.observed if OBSERVED + table not in taken]
        settings = self.settings.model_copy()
        settings._sync_config = self.config(taken)
        push_plan(
            SPEC,
            plan,
            client=self.client,
            ledger=self.ledger,
            settings=settings,
            references=references({table: self.snapshots[OBSERVED + table].records for table in tables}),
            observed_at=datetime.fromisoformat(plan.as_of),
            run_id="taken away",
            progress=lambda *_: None,
        )

    def has_access(self) -> bool:
        """Whether the leaver can log in, by SafetyAmp itself."""
        (row,) = [row for row in self.box.safetyamp.tables()["users"] if row["emp_id"] == self.leaver]
        return bool(row["system_access"])


@contextmanager
def company() -> Iterator[Company]:
    """In step at first; then one leaves, two come, two have other names and two other e-mail addresses."""
    spec = WorldSpec(employees=24, jobs=6, vehicles=3, departments=4, titles=3, mess=False)
    with ExitStack() as opened:
        box = opened.enter_context(Sandbox(spec, TargetOptions(calls=100_000, period=0.5)))
        assert lean_run(box.environment).is_clean
        ours = {row["emp_id"] for row in box.safetyamp.tables()["users"] if row["system_access"]}
        numbers = [row["Employee"] for row in box.world.viewpoint["bPREH"] if str(row["Employee"]) in ours]
        for number in numbers[1:3]:
            box.sources.update("bPREH", {"Employee": number}, LastName="Renamed")
        for number in numbers[3:5]:
            box.sources.entra_update(number, mail=f"other{number}@example.net")
        for last in ("Newhire", "Newcomer"):
            box.sources.hire(last=last)
        box.sources.terminate(numbers[0])
        settings = load_settings(box.environment, env_file=None)
        ledger = Ledger.open(settings.ledger_url.get_secret_value())
        opened.callback(ledger.close)
        client = safetyamp_client(settings)
        opened.callback(client.close)
        snapshots = _sources(settings, opened)
        for table in TABLES:
            read_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            snapshots[OBSERVED + table] = client.list_table(table, read_at=read_at, previous_rows=None)
        plans = {plan.entity: plan for plan in _plans(settings, ledger, snapshots)}
        yield Company(box, settings, ledger, client, snapshots, plans, str(numbers[0]))


def parts_of(changes: Sequence[Change]) -> set[tuple[str, str, str, str]]:
    """Each value that changes write: of which record, how, which field, and what."""
    return {
        (change.source_key, str(change.action), name, repr(pair[1]))
        for change in changes
        for name, pair in change.fields.items()
    }


def went_through(plan: Plan) -> tuple[str, ...]:
    """Which kinds of change are in the plan, whole, in part or not at all, as KINDS."""
    changed = [change for change in plan.changes if change.action is Action.UPDATE]
    numbers = (
        (sum(change.action is Action.DEACTIVATE for change in plan.changes), 1),
        (sum(change.action is Action.CREATE for change in plan.changes), 2),
        (sum("last_name" in change.fields for change in changed), 2),
        (sum("email" in change.fields for change in changed), 2),
    )
    return tuple("yes" if number == whole else f"{number} of {whole}" if number else "" for number, whole in numbers)
