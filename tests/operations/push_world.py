"""A push from outside in: the sandbox's SafetyAmp, a ledger in its file, and sources made by hand."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from small_worlds import employee, recent_job, snapshot

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.journal import remembered
from safetyamp_pipelines.operations.push_step import Pushed, push_plan
from safetyamp_pipelines.sandbox import FaultRule, RequestRecord, Sandbox, WorldSpec
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.sync.entities.registry import BY_NAME, references
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.snapshot import Record, Snapshot
from safetyamp_pipelines.sync.planning.derive import plan_entity
from safetyamp_pipelines.sync.planning.expected import expected_references
from safetyamp_pipelines.sync.pushing.outcomes import Progress, no_progress
from safetyamp_pipelines.systems.safetyamp import SafetyAmpClient, safetyamp_client

Sources = Mapping[str, list[Record]]
EMPTY = WorldSpec(employees=0, jobs=0, vehicles=0, present=1.0, mess=False)
"""A SafetyAmp with clusters, yards and roles, and nobody of ours in it."""
STRANGER = {"id": "stranger", "employeeId": None, "mail": None}
"""An account of nobody: without any, Entra would be a sick source, and a guard would refuse the plan."""
HOME = "HQ-YARD"
"""A site every sandbox has, and the job that everybody here worked last."""


def staff(*numbers: int, **columns: Any) -> Sources:
    """Sources with these employees, all with the same further columns."""
    return sources([employee(number, **columns) for number in numbers])


def sources(employees: list[Record], accounts: list[Record] | None = None) -> Sources:
    jobs = [recent_job(row["Employee"], HOME) for row in employees]
    return {"viewpoint/employees": employees, "viewpoint/recent_jobs": jobs, "entra/users": accounts or [STRANGER]}


def people(box: Sandbox) -> dict[str, dict[str, Any]]:
    """SafetyAmp's users of ours, by number; fails when two have the same."""
    ours = [row for row in box.safetyamp.tables()["users"] if row["emp_id"] is not None]
    assert len({row["emp_id"] for row in ours}) == len(ours)
    return {row["emp_id"]: row for row in ours}


def writes(box: Sandbox, since: int = 0) -> list[RequestRecord]:
    return [request for request in box.requests("safetyamp", since) if request.is_write]


def outcomes(pushed: Pushed) -> dict[str, str]:
    return {verdict.source_key: str(verdict.outcome) for verdict in pushed.result.verdicts}


def rule(pushed: Pushed, key: str) -> str:
    return next(verdict.rule for verdict in pushed.result.verdicts if verdict.source_key == key)


def notes(pushed: Pushed, key: str) -> tuple[str, ...]:
    return next(verdict.notes for verdict in pushed.result.verdicts if verdict.source_key == key)


def fault(box: Sandbox, kind: str, method: str = "POST", **options: Any) -> None:
    box.faults.add(FaultRule(kind, system="safetyamp", method=method, path_regex="/api/users", **options))


@dataclass
class Clock:
    """A ledger's clock: real time, and what was slept through, which costs none. `slept` adds up the seconds."""

    ahead: timedelta = timedelta(0)
    slept: float = 0.0

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pass_minutes(self, minutes: float) -> None:
        self.ahead += timedelta(minutes=minutes)

    def sleep(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)
        self.slept += seconds


def reads(box: Sandbox, since: int, table: str = "users") -> int:
    """Walks over a table: each begins with its first page."""
    requests = box.requests("safetyamp", since)
    return sum(request.path == f"/api/{table}" and request.query.startswith("page=0") for request in requests)


class PushWorld:
    """What a run has at hand. `clock` is the ledger's: leases and failures run out by it, and `sleep` lets it go on."""

    def __init__(
        self,
        environment: Mapping[str, str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.sleep = sleep
        self.settings = load_settings(environment, env_file=None)
        self.ledger = Ledger.open(self.settings.ledger_url.get_secret_value(), clock=clock)
        self.client: SafetyAmpClient = safetyamp_client(self.settings)

    def close(self) -> None:
        self.client.close()
        self.ledger.close()

    def observe(self, entity: str) -> dict[str, Snapshot]:
        """SafetyAmp's tables as a run reads them first."""
        read_at = self.ledger.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        tables = BY_NAME[entity].observed
        return {t: self.client.list_table(t, read_at=read_at, previous_rows=None) for t in tables}

    def plan(self, entity: str, given: Sources, observed: Mapping[str, Snapshot], *earlier: Plan) -> Plan:
        """The plan of one entity from what was observed, after the earlier plans given."""
        spec, rules = BY_NAME[entity], self.settings.sync_config()
        read_at = min(taken.certificate.read_at for taken in observed.values() if taken.certificate)
        snapshots = {name: snapshot(name, given.get(name, []), read_at) for name in spec.sources}
        snapshots |= {taken.table: taken for taken in observed.values()}
        before = [(BY_NAME[plan.entity], plan) for plan in earlier]
        expected = expected_references({table: taken.records for table, taken in observed.items()}, before)
        memory = remembered(self.ledger, entity)
        return plan_entity(spec, Inputs(snapshots, expected, memory, rules), rules)

    def push(
        self,
        plan: Plan,
        observed: Mapping[str, Snapshot],
        *,
        progress: Progress = no_progress,
        asked_at: datetime | None = None,
        **settings: Any,
    ) -> Pushed:
        """Push that plan against what was observed when it was made."""
        return push_plan(
            BY_NAME[plan.entity],
            plan,
            client=self.client,
            ledger=self.ledger,
            settings=self.settings.model_copy(update=settings),
            references=references({table: taken.records for table, taken in observed.items()}),
            observed_at=datetime.fromisoformat(observed[BY_NAME[plan.entity].table].certificate.read_at),
            run_id="run-1",
            progress=progress,
            asked_at=asked_at,
            sleep=self.sleep,
        )

    def sync(self, entity: str, given: Sources, **settings: Any) -> Pushed:
        """Observe, plan and push one entity."""
        observed = self.observe(entity)
        return self.push(self.plan(entity, given, observed), observed, **settings)


def main(environment: str, given: str) -> None:
    """A push in a process of its own, to be killed: the files hold the environment and the sources as JSON."""
    with closing(PushWorld(json.loads(Path(environment).read_text()))) as world:
        world.sync("employees", json.loads(Path(given).read_text()))


if __name__ == "__main__":
    main(*sys.argv[1:])
