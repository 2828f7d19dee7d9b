"""What an operator sees on a terminal: progress, the plan before → after, the result. Elsewhere plain lines."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import markup
from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from safetyamp_pipelines.operations.decisions import OF_A_GUARD
from safetyamp_pipelines.operations.display import called
from safetyamp_pipelines.operations.explain.calls import render_value
from safetyamp_pipelines.operations.figures import figures_of
from safetyamp_pipelines.operations.local_time import duration
from safetyamp_pipelines.operations.plan_view import SYMBOLS, summary_of
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.text import displayed, displayed_lines

if TYPE_CHECKING:
    from safetyamp_pipelines.cli.running import Ran
    from safetyamp_pipelines.sync.model.plan import Change, Plan, Verdict

LINE_EVERY = 25
MOST_KEYS = 10
BUDGET_LOG = logging.getLogger("safetyamp_pipelines.systems.http.budget")


def escape(text: str) -> str:
    """Outside text for a console that reads markup: one line, and nothing of it is markup or steers the terminal."""
    return markup.escape(displayed(text, None))


class _BudgetWaits(logging.Handler):
    """Passes on that a call waits for the budget, which is logged at a level that commands do not show."""

    def __init__(self, waits: Callable[[str], None]) -> None:
        super().__init__()
        self._waits = waits

    def emit(self, record: logging.LogRecord) -> None:
        structured = getattr(record, "structured", {})
        if structured.get("event") == "waits_for_budget":
            self._waits(f"for the call budget: {duration(structured['seconds'])}")


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
        self._budget_waits = _BudgetWaits(self.waits)

    def __enter__(self) -> TerminalProgress:
        self._bars.start()
        BUDGET_LOG.addHandler(self._budget_waits)
        BUDGET_LOG.setLevel(logging.INFO)
        return self

    def __exit__(self, *_: object) -> None:
        BUDGET_LOG.setLevel(logging.NOTSET)
        BUDGET_LOG.removeHandler(self._budget_waits)
        self._bars.stop()

    def waits(self, text: str) -> None:
        """Report what the run waits for, and how long."""
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


def show_result(console: Console, ran: Ran, names: Mapping[str, Mapping[str, str]], *, pushed: bool) -> None:
    """The table of verdicts, calls against the fewest possible, and every record that is not in step.

    `names` by entity are of a plan, which has also shown what guards hold; what a sync shows may end in a log."""
    for name, records in ran.not_in_step.items():
        shown = {held.change.source_key for held in ran.plans[name].held} if name in names else set()
        if rest := [record for record in records if record["key"] not in shown]:
            _print_titled(console, f"{name}: not in step", _records_table(console, rest, names.get(name, {})))
    for name, lines in ran.noted.items():
        for line in lines:
            _line(console, f"{name.removesuffix('s')} {escape(line['key'])}: {escape('; '.join(line['notes']))}")
    _print_titled(console, "Verdicts" if pushed else "Verdicts, if this were pushed", _verdict_table(console, ran))
    if pushed:
        _line(console, figures_of(ran.verdicts))
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
    if ran.causes:
        last = "Nothing was written to SafetyAmp." if ran.wrote_nothing else f"Nevertheless, {figures_of(ran.verdicts)}"
        _line(console, last)


def _verdict_table(console: Console, ran: Ran) -> Table:
    """Verdicts down, entities across: so it fits on 80 columns however many verdicts there are."""
    table = _table(console)
    table.add_column("verdict")
    for entity in ran.verdicts:
        table.add_column(entity, justify="right")
    for name in sorted({verdict for counts in ran.verdicts.values() for verdict in counts}):
        cells = [str(counts[name]) if name in counts else "·" for counts in ran.verdicts.values()]
        table.add_row(name.replace("_", " "), *cells)
    table.add_row("all", *(str(sum(counts.values())) for counts in ran.verdicts.values()))
    return table


def _records_table(console: Console, records: list[dict[str, Any]], names: Mapping[str, str]) -> Table:
    """Records that wait for the same reason, such as all that one guard holds, are one row."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        ways = [way.replace(record["key"], "KEY") for way in record.get("ways", ())]
        alike[(*record["why"], *ways) if ways else (record["key"],)].append(record)
    table = _table(console)
    for column in ("key", "verdict", "why"):
        table.add_column(column)
    for waits_for, alikes in alike.items():
        first, keys = alikes[0], [record["key"] for record in alikes]
        why = waits_for if len(keys) > 1 else (*first["why"], *first.get("ways", ()))
        shown = "\n".join(escape(called(key, names.get(key))) for key in keys)
        table.add_row(shown, first["verdict"].replace("_", " "), "\n".join(map(escape, why)))
    return table


def _table(console: Console, *, header: bool = True) -> Table:
    """Ruled on a terminal; elsewhere the columns alone, which other programs can read."""
    return Table(box=HEAVY_HEAD if console.is_terminal else None, show_header=header)


def _print_titled(console: Console, title: str, table: Table) -> None:
    """The title as a line of its own: that of a table is broken at the table's width."""
    _line(console, f"[italic]{escape(title)}[/]")
    console.print(table)


def show_plan(console: Console, plan: Plan, names: Mapping[str, str]) -> None:
    """Every change of one plan with names, before → after, in the order of the pushes. Shows values."""
    _line(console, f"\n[bold]{plan.entity}[/]: {summary_of(plan)}  [dim]plan {plan.hash[:12]}[/]")
    lines: list[str] = []
    for guard in plan.held_by():
        own = [one for one in plan.held if one.guard == guard]
        lines.append(displayed(f"  held by {guard}: {own[0].figures} [{own[0].setting}]", None))
        for held in own:
            lines += _change_lines(plan, held.change, names)
        how = "`, `safetyamp ".join(f"{choice} {plan.held_hash(guard)[:12]}" for choice in OF_A_GUARD)
        lines.append(f"    decide: `safetyamp {how}`; --key KEY for one record alone")
    for change in plan.changes:
        lines += _change_lines(plan, change, names)
    if lines:
        # Not through the console, which would spend a fifth of the time of a first plan on styling unstyled text.
        console.file.write("\n".join(lines) + "\n")
    if notes := [verdict for verdict in plan.verdicts if verdict.notes]:
        _line(console, f"  left out of {len(notes)} records")
        for verdict in notes:
            who = called(verdict.source_key, names.get(verdict.source_key))
            _line(console, f"    {escape(who)} — {escape('; '.join(verdict.notes))}")
    _show_findings(console, plan)


def _change_lines(plan: Plan, change: Change, names: Mapping[str, str]) -> Iterator[str]:
    who = called(change.natural_key, names.get(change.source_key))
    yield displayed(f"  {SYMBOLS[change.action]} {who} — {change.cause}", None)
    for name, (before, after) in change.fields.items():
        was = "" if change.target_id is None else f"{render_value(before)} → "
        yield f"      {BY_NAME[plan.entity].field(name).label}: {was}{render_value(after)}"


def show_forecast(console: Console, calls: int, limit: int, period: float) -> None:
    """How many calls the push of these plans needs, and how long the budget makes them last."""
    if calls:
        lasts = duration(calls * period / limit)
        _line(
            console,
            f"Calls a push of this takes: {calls}, at least {lasts} with the budget of {limit} in {period:g} s",
        )


def _show_findings(console: Console, plan: Plan) -> None:
    findings: dict[str, list[str]] = defaultdict(list)
    noted = {(verdict.source_key, note) for verdict in plan.verdicts for note in verdict.notes}
    for finding in plan.findings:
        if (finding.key, finding.text) in noted:  # shown above, with its record
            continue
        findings[f"{finding.kind.replace('_', ' ')}: {finding.text}"].append(finding.key)
    for what, keys in findings.items():
        shown = ", ".join(keys[:MOST_KEYS]) + (f" and {len(keys) - MOST_KEYS} more" if len(keys) > MOST_KEYS else "")
        _line(console, f"  [dim]{escape(plan.entity)} {escape(what)}: {escape(shown)}[/]")


def _line(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)


def show_pairs(console: Console, title: str, pairs: Mapping[str, str]) -> None:
    """Two columns."""
    table = _table(console, header=False)
    for name, value in pairs.items():
        table.add_row(escape(name), escape(value))
    _print_titled(console, title, table)
