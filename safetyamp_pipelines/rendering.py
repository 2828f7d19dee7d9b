"""What an operator sees on a terminal: progress, the plan before → after, the result. Elsewhere plain lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from safetyamp_pipelines.running import Ran, not_in_step
from safetyamp_pipelines.sync.entities import BY_NAME
from safetyamp_pipelines.sync.plan import Change, Plan

SAY_EVERY = 25


class TerminalProgress:
    """A bar for each entity on a terminal: done of total, calls so far, time left; elsewhere a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[calls]} calls"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> TerminalProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def read(self, table: str, rows: int, calls: int) -> None:
        """Say that a table was read."""
        self._console.print(f"read   {table:<14} {rows:>6} rows {calls:>5} calls", highlight=False)

    def of(self, entity: str, calls: Callable[[], int]) -> Callable[[int, int], None]:
        """The callback of one push."""

        def report(settled: int, planned: int) -> None:
            if self._console.is_terminal:
                task = self._tasks.get(entity)
                if task is None:
                    task = self._tasks[entity] = self._bars.add_task(entity, total=planned, calls=0)
                self._bars.update(task, completed=settled, total=planned, calls=calls())
            elif settled % SAY_EVERY == 0 or settled == planned:
                self._console.print(f"push   {entity:<14} {settled:>6} of {planned}, {calls()} calls", highlight=False)

        return report


def show_result(console: Console, ran: Ran, *, pushed: bool) -> None:
    """The table of verdicts, calls against the fewest possible, rejected records, and every error once."""
    for name, plan in ran.plans.items():
        _show_not_in_step(console, name, plan)
    console.print(_verdict_table(ran, "Verdicts" if pushed else "Verdicts, if this were pushed"))
    console.print(
        f"{ran.writes} writes, {ran.calls} calls to SafetyAmp (fewest possible {ran.fewest_calls}), "
        f"{ran.seconds:.1f} s, run {ran.run_id}",
        highlight=False,
    )
    for error in ran.errors:
        console.print(f"[bold red]{escape(error.step)}[/]: {escape(error.text)}", highlight=False, soft_wrap=True)


def _verdict_table(ran: Ran, title: str) -> Table:
    names = sorted({verdict for counts in ran.verdicts.values() for verdict in counts})
    table = Table(title=title, title_justify="left")
    table.add_column("entity")
    for name in (*names, "all"):
        table.add_column(name.replace("_", " "), justify="right")
    for entity, counts in ran.verdicts.items():
        cells = [str(counts[name]) if name in counts else "·" for name in names]
        table.add_row(entity, *cells, str(sum(counts.values())))
    return table


def _show_not_in_step(console: Console, name: str, plan: Plan) -> None:
    records = not_in_step(plan)
    if not records:
        return
    table = Table("key", "verdict", "why", title=f"{name}: not in step", title_justify="left")
    for record in records:
        table.add_row(record["key"], record["verdict"], "\n".join(record["why"]))
    console.print(table)


def show_plan(console: Console, plan: Plan) -> None:
    """Every change of one plan, grouped by what it does, before → after. For an operator's eyes: it shows values."""
    groups: dict[str, list[Change]] = defaultdict(list)
    for change in plan.changes:
        groups[str(change.action)].append(change)
    for action, changes in groups.items():
        console.print(f"\n[bold]{plan.entity}: {action}[/] {len(changes)}", highlight=False)
        for change in changes:
            console.print(f"  {escape(change.natural_key)} — {escape(change.cause)}", highlight=False)
            for name, (before, after) in change.fields.items():
                label = BY_NAME[plan.entity].field(name).label
                arrow = escape(_said(after) if before is None else f"{_said(before)} → {_said(after)}")
                console.print(f"    {label}: {arrow}", highlight=False)
    notes = [v for v in plan.verdicts if v.notes]
    if notes:
        console.print(f"\n[bold]{plan.entity}: left out[/] {len(notes)} records", highlight=False)
        for verdict in notes:
            console.print(f"  {escape(verdict.source_key)} — {escape('; '.join(verdict.notes))}", highlight=False)
    findings: dict[str, list[str]] = defaultdict(list)
    for finding in plan.findings:
        findings[f"{finding.kind.replace('_', ' ')}: {finding.text}"].append(finding.key)
    for what, keys in findings.items():
        shown = ", ".join(keys[:10]) + (f" and {len(keys) - 10} more" if len(keys) > 10 else "")
        console.print(f"  [dim]{escape(plan.entity)} {escape(what)}: {escape(shown)}[/]", highlight=False)


def _said(value: Any) -> str:
    return "nothing" if value is None else repr(value)


def show_pairs(console: Console, title: str, pairs: Mapping[str, str]) -> None:
    """Two columns."""
    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in pairs.items():
        table.add_row(name, escape(value))
    console.print(table)
