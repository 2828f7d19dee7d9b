"""Every value that was ever seen to break something, as JSON text, in every field of every table that is read.

What must come of it: the table is read whole or refused by name; every entity is planned; every record has one verdict;
what changes is about the poisoned record alone; nothing unseen is in what would be written. A field that no rule reads
changes nothing at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from reliability.lean import OBSERVED, TABLES, lean_run
from reliability.small import environment_of, small_box

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.journal import remembered
from safetyamp_pipelines.sandbox import FaultRule
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES, SCHEMAS
from safetyamp_pipelines.sync.entities.registry import TABLES as REFERRED
from safetyamp_pipelines.sync.model.errors import PlanRefused, SyncError
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Plan, Verdict
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.planning.derive import plan_entity
from safetyamp_pipelines.sync.planning.expected import expected_references
from safetyamp_pipelines.systems.entra import graph_client
from safetyamp_pipelines.systems.safetyamp import safetyamp_client
from safetyamp_pipelines.systems.samsara import samsara_client
from safetyamp_pipelines.systems.viewpoint.reader import viewpoint_reader

POISONS = {
    "NUL": r'"Ann\u0000a"',
    "half a pair": r'"Ann\ud83da"',
    "half a pair, raw": '"Ann\ud83da"',
    "ESC and C1": r'"\u001b[2J\u009b31mAnna"',
    "lines": r'"Anna\r\nWhat to do: run curl"',
    "bidi and zero width": r'"\u202eannA\u200b\ufeff"',
    "a lost letter": '"Nguy?n"',
    "a step of a path": '".."',
    "unreadable": r'"Ann\ufffda"',
    "10,000 characters": json.dumps("x" * 10_000),
    "5,000 digits": "9" * 5_000,
    "NaN": "NaN",
    "beyond all numbers": "1e999",
    "list in a list": "[[]]",
    "object": '{"id": [], "name": {"a": null}}',
    "400 deep": "[" * 400 + "]" * 400,
    "true": "true",
    "float": "1797.0",
    "blanks": r'"\u00a0 \t"',
    "nothing": "null",
}
UNUSED = "zzUnused"
NOTHING = "no effect"
KEY, READ, NOT_READ = "key", "read by a rule", "not read"
GRAVEST_FIRST = ("deactivated", "blocked", "held", "rejected", "skipped", "out_of_scope", "created", "reactivated")
CHOSEN_BY = {"PRCo", "JCCo"}
"""What the queries choose rows by: SQL Server itself gives no other value."""
READ_AT = "2026-11-20T10:00:00Z"
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufffd]")
SYSTEMS = {"viewpoint": None, "entra": "graph", "samsara": "samsara", "safetyamp_observed": "safetyamp"}


@dataclass(frozen=True)
class Cell:
    """A value in a field of the first record of a table."""

    table: str
    field: str
    poison: str

    def __str__(self) -> str:
        return f"{self.table} {self.field}: {self.poison}"


class Ground:
    """A small world in step, read once; each cell reads its one table again, poisoned, and plans everything."""

    def __init__(self, stack: ExitStack) -> None:
        self.box = stack.enter_context(small_box())
        environment = environment_of(self.box)
        for _ in range(2):
            run = lean_run(environment)
            assert run.error is None, run.error
        settings = load_settings(environment, env_file=None)
        self.config = settings.sync_config()
        self.ledger = Ledger.open(settings.ledger_url.get_secret_value())
        stack.callback(self.ledger.close)
        self.safetyamp = safetyamp_client(settings)
        self.graph, self.samsara = graph_client(settings), samsara_client(settings)
        for client in (self.safetyamp, self.graph, self.samsara):
            stack.callback(client.close)
        self.snapshots = dict(viewpoint_reader(settings).read_all(READ_AT))
        for table in ("entra/users", "samsara/drivers", "samsara/vehicles", *(OBSERVED + table for table in TABLES)):
            self.snapshots[table] = self.read(table)
        self.plans = self.planned(self.snapshots)

    def cells(self) -> Iterator[Cell]:
        """The whole table."""
        for table, snapshot in sorted(self.snapshots.items()):
            fields = [field for field in (snapshot.records[0] if snapshot.records else ()) if field not in CHOSEN_BY]
            for field in [*fields, UNUSED]:
                yield from (
                    Cell(table, field, poison)
                    for poison, text in POISONS.items()
                    if not (table.startswith("viewpoint/") and text[0] in "[{")  # no column holds these
                )

    def read(self, table: str) -> Snapshot:
        """The table as its system gives it now."""
        if table == "entra/users":
            return self.graph.list_users(expand_manager=True, read_at=READ_AT)
        if table == "samsara/drivers":
            return self.samsara.list_drivers(read_at=READ_AT)
        if table == "samsara/vehicles":
            return self.samsara.list_vehicles(read_at=READ_AT)
        name = table.removeprefix(OBSERVED)
        return self.safetyamp.list_table(name, read_at=READ_AT, previous_rows=None)

    def poisoned(self, cell: Cell) -> Snapshot:
        """The table with the poison in its first record. Viewpoint's values come typed: they enter by the same door."""
        system = SYSTEMS[cell.table.partition("/")[0]]
        if system is None:
            clean = self.snapshots[cell.table]
            first = {**clean.records[0], cell.field: json.loads(POISONS[cell.poison], parse_int=_whole)}
            keys = {"employees": ("PRCo", "Employee"), "departments": ("PRCo", "PRDept"), "jobs": ("JCCo", "Job")}
            key = keys.get(cell.table.partition("/")[2], ("PRCo", "Employee"))
            return Snapshot.certified(
                cell.table,
                [first, *clean.records[1:]],
                key=lambda record: [record[column] for column in key],
                pages=1,
                read_at=READ_AT,
            )
        path = {"graph": "users$", "samsara": cell.table.partition("/")[2] + "$"}.get(system, cell.table[19:] + "$")
        self.box.faults.add(
            FaultRule("poison", system, "GET", path, field=cell.field, body=POISONS[cell.poison], times=1)
        )
        try:
            return self.read(cell.table)
        finally:
            self.box.faults.clear()

    def planned(self, snapshots: dict[str, Snapshot]) -> list[Plan]:
        """The plans of all entities from these snapshots."""
        plans: list[Plan] = []
        observed = {
            name.removeprefix(OBSERVED): s.records for name, s in snapshots.items() if name.startswith(OBSERVED)
        }
        for spec in ENTITIES:
            expected = expected_references(observed, [(BY_NAME[plan.entity], plan) for plan in plans])
            inputs = Inputs(snapshots, expected, remembered(self.ledger, spec.name), self.config)
            plans.append(plan_entity(spec, inputs, self.config))
        return plans

    def kind(self, cell: Cell) -> str:
        """What the field is to the rules."""
        schema = (SCHEMAS | {OBSERVED + name: table.schema for name, table in REFERRED.items()})[cell.table]
        is_read = cell.field in schema.names or cell.field == "deleted_at"  # a row that is deleted is none
        return KEY if cell.field in schema.key else READ if is_read else NOT_READ

    def verdict(self, cell: Cell) -> str:
        """What came of the cell in a few words; AssertionError when it is not what must come of it."""
        try:
            snapshot = self.poisoned(cell)
        except SyncError as error:
            if cell.field not in ("id", "children"):
                raise AssertionError(f"a table is refused for a value of {cell.field}") from error
            return "table refused"
        if snapshot.records == self.snapshots[cell.table].records:
            return NOTHING
        try:
            plans = self.planned({**self.snapshots, cell.table: snapshot})
        except PlanRefused:
            assert cell.table == f"{OBSERVED}site_clusters", "only a root that is not there stops a plan"
            return "plan refused"
        for plan in plans:
            assert not plan.unaccounted, plan.unaccounted
            Plan.from_bytes(plan.to_bytes())
            for change in plan.changes:
                for name, value in {**change.after(), "": change.natural_key}.items():
                    assert not UNSEEN.search(str(value)), f"{plan.entity} {name}"
        if cell.field == UNUSED:
            assert not any(plan.changes for plan in plans), [plan.changes for plan in plans]
        return self.compared(plans, snapshot.notices != self.snapshots[cell.table].notices)

    def compared(self, plans: list[Plan], has_notices: bool) -> str:
        """How the plans differ from those without the poison."""
        before = {(plan.entity, verdict.source_key): verdict for plan in self.plans for verdict in plan.verdicts}
        after = {(plan.entity, verdict.source_key): verdict for plan in plans for verdict in plan.verdicts}
        found = {str(verdict.outcome) for key, verdict in after.items() if verdict.outcome != outcome_of(before, key)}
        if found:
            return next((outcome for outcome in GRAVEST_FIRST if outcome in found), min(found))
        if before.keys() - after.keys():
            return "record gone"
        return "notice" if has_notices or before != after else NOTHING


def outcome_of(verdicts: Mapping[tuple[str, str], Verdict], key: tuple[str, str]) -> str | None:
    """The outcome of a record's verdict; None where it has none."""
    return str(verdicts[key].outcome) if key in verdicts else None


def _whole(digits: str) -> Any:
    return digits if len(digits) > 40 else int(digits)
