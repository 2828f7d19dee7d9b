"""What an operator sees on a terminal: progress, the plan before → after, the result. Elsewhere plain lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import markup
from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from safetyamp_pipelines.operations.explain.calls import render_value
from safetyamp_pipelines.operations.local_time import duration
from safetyamp_pipelines.operations.plan_view import SYMBOLS, summary_of
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.text import displayed, displayed_lines

if TYPE_CHECKING:
    from safetyamp_pipelines.cli.running import Ran
    from safetyamp_pipelines.sync.model.plan import Plan, Verdict

LINE_EVERY = 25
MOST_KEYS = 10


def escape(text: str) -> str:
    """Outside text for a console that reads markup: one line, and nothing of it is markup or steers the terminal."""
    return markup.escape(displayed(text, None))


class TerminalProgress:
    """A bar for each entity on a terminal: done of total, calls so far and left, and how long these take by the budget,
    one in `pace` seconds; elsewhere a line now and then."""

    def __init__(self, console: Console, pace: float = 0.0) -> None:
        self._console, self._pace = console, pace
        self._bars = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[calls]} calls{task.fields[left]}"),
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

    def waits(self, text: str) -> None:
        """Report for whom the run waits, and how long."""
        self._console.print(f"waits  {escape(text)}", highlight=False, soft_wrap=True)

    def read(self, table: str, rows: int, calls: int) -> None:
        """Report that a table was read."""
        self._console.print(f"read   {table:<14} {rows:>6} rows {calls:>5} calls", highlight=False)

    def of(self, entity: str, calls: Callable[[], int]) -> Callable[[int, int], None]:
        """The callback of one push."""

        def report(settled: int, planned: int) -> None:
            left = self._left(planned - settled)
            if self._console.is_terminal:
                task = self._tasks.get(entity)
                if task is None:
                    task = self._tasks[entity] = self._bars.add_task(entity, total=planned, calls=0, left="")
                self._bars.update(task, completed=settled, total=planned, calls=calls(), left=left)
            elif settled % LINE_EVERY == 0 or settled == planned:
                line = f"push   {entity:<14} {settled:>6} of {planned}, {calls()} calls{left}"
                self._console.print(line, highlight=False)

        return report

    def _left(self, changes: int) -> str:
        return f", {changes} left: {duration(changes * self._pace)} of the budget" if changes and self._pace else ""

    def pushed(self, entity: str, verdicts: Sequence[Verdict]) -> None:
        """Nothing: the table at the end shows it."""


def show_result(console: Console, ran: Ran, *, pushed: bool) -> None:
    """The table of verdicts, calls against the fewest possible, and every record that is not in step."""
    for name, records in ran.not_in_step.items():
        if records:
            console.print(_records_table(console, name, records))
    for name, lines in ran.noted.items():
        for line in lines:
            _line(console, f"{name.removesuffix('s')} {escape(line['key'])}: {escape('; '.join(line['notes']))}")
    console.print(_verdict_table(console, ran, "Verdicts" if pushed else "Verdicts, if this were pushed"))
    console.print(
        f"{ran.writes} writes, {ran.calls} calls to SafetyAmp (fewest possible {ran.fewest_calls}), "
        f"{ran.seconds:.1f} s, run {ran.run_id}",
        highlight=False,
        soft_wrap=True,
    )


def show_causes(console: Console, ran: Ran) -> None:
    """Every reason why the run did not do what it was asked to, once."""
    for cause in ran.causes:
        console.print(displayed_lines(cause.text), style="bold red", highlight=False, soft_wrap=True, markup=False)
    if ran.causes and ran.wrote_nothing:
        console.print("Nothing was written to SafetyAmp.", highlight=False)


def _verdict_table(console: Console, ran: Ran, title: str) -> Table:
    """Verdicts down, entities across: so it fits on 80 columns however many verdicts there are."""
    table = _table(console, title)
    table.add_column("verdict")
    for entity in ran.verdicts:
        table.add_column(entity, justify="right")
    for name in sorted({verdict for counts in ran.verdicts.values() for verdict in counts}):
        cells = [str(counts[name]) if name in counts else "·" for counts in ran.verdicts.values()]
        table.add_row(name.replace("_", " "), *cells)
    table.add_row("all", *(str(sum(counts.values())) for counts in ran.verdicts.values()))
    return table


def _records_table(console: Console, name: str, records: list[dict[str, Any]]) -> Table:
    table = _table(console, f"{name}: not in step")
    for column in ("key", "verdict", "why"):
        table.add_column(column)
    for record in records:
        verdict = record["verdict"].replace("_", " ")
        why = [*record["why"], *record.get("ways", ())]
        table.add_row(escape(record["key"]), verdict, "\n".join(map(escape, why)))
    return table


def _table(console: Console, title: str, *, header: bool = True) -> Table:
    """Ruled on a terminal; elsewhere the columns alone, which other programs can read."""
    box = HEAVY_HEAD if console.is_terminal else None
    return Table(title=title, title_justify="left", box=box, show_header=header)


def show_plan(console: Console, plan: Plan, names: Mapping[str, str]) -> None:
    """Every change of one plan with names, before → after, in the order of the pushes. Shows values."""
    _line(console, f"\n[bold]{plan.entity}[/]: {summary_of(plan)}  [dim]plan {plan.hash[:12]}[/]")
    lines: list[str] = []
    for change in plan.changes:
        who = " ".join(filter(None, (change.natural_key, names.get(change.source_key))))
        lines.append(displayed(f"  {SYMBOLS[change.action]} {who} — {change.cause}", None))
        for name, (before, after) in change.fields.items():
            was = "" if change.target_id is None else f"{render_value(before)} → "
            lines.append(f"      {BY_NAME[plan.entity].field(name).label}: {was}{render_value(after)}")
    if lines:
        # Past the console: it takes a fifth of the time of a first plan to style what has no style.
        console.file.write("\n".join(lines) + "\n")
    if notes := [verdict for verdict in plan.verdicts if verdict.notes]:
        _line(console, f"  left out of {len(notes)} records")
        for verdict in notes:
            _line(console, f"    {escape(verdict.source_key)} — {escape('; '.join(verdict.notes))}")
    _show_findings(console, plan)


def show_forecast(console: Console, calls: int, limit: int, period: float) -> None:
    """How many calls the push of these plans needs, and how long the budget makes them last."""
    if calls:
        lasts = duration(calls * period / limit)
        _line(
            console,
            f"Calls a push of this takes: {calls}, at least {lasts} of the budget of {limit} in {period:g} s",
        )


def _show_findings(console: Console, plan: Plan) -> None:
    findings: dict[str, list[str]] = defaultdict(list)
    for finding in plan.findings:
        findings[f"{finding.kind.replace('_', ' ')}: {finding.text}"].append(finding.key)
    for what, keys in findings.items():
        shown = ", ".join(keys[:MOST_KEYS]) + (f" and {len(keys) - MOST_KEYS} more" if len(keys) > MOST_KEYS else "")
        _line(console, f"  [dim]{escape(plan.entity)} {escape(what)}: {escape(shown)}[/]")


def _line(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)


def show_pairs(console: Console, title: str, pairs: Mapping[str, str]) -> None:
    """Two columns."""
    table = _table(console, title, header=False)
    for name, value in pairs.items():
        table.add_row(escape(name), escape(value))
    console.print(table)
