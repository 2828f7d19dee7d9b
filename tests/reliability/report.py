"""The matrix as tables in Markdown: what was injected, and what happened. Nothing is tried here, no dates, no times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reliability.cells import FAULTS, KILLS, Healing
from safetyamp_pipelines.sandbox import RequestRecord

_HEAD = """# What a sync survives

Written by `make faults`; do not edit. In a small world every call of a whole first run is
answered in turn with every fault, and the process is killed with SIGKILL at every write: {writes} writes and {reads}
reads, {cells} cells. Then the faults stop. A cell has healed when a later run writes nothing, has nothing left to do,
no natural key stands twice in any table, and all tables of SafetyAmp equal those after a run without faults, ids aside.
A first load and a day of syncs, with what they take and whether it grows: [load.md](load.md).
"""


def page(healings: Sequence[Healing], calls: Sequence[RequestRecord]) -> str:
    """The whole page."""
    writes = sum(call.is_write and call.system == "safetyamp" for call in calls)
    head = _HEAD.format(writes=writes, reads=len(calls) - writes, cells=len(healings))
    return "\n".join(
        [head, "## By fault\n", table(healings), "\n## By call\n", _by_call(healings), _not_healed(healings)]
    )


def table(healings: Sequence[Healing]) -> str:
    """One line a fault, one column a class of outcome."""
    columns = _columns(healings)
    counts = Counter((healing.cell.fault, healing.outcome) for healing in healings)
    faults = [name for name in (*FAULTS, *KILLS) if any(healing.cell.fault == name for healing in healings)]
    return _lines(["Fault", *columns], [[name, *(counts[name, column] for column in columns)] for name in faults])


def _by_call(healings: Sequence[Healing]) -> str:
    columns = _columns(healings)
    counts = Counter((healing.cell.what, healing.outcome) for healing in healings)
    calls = dict.fromkeys(healing.cell.what for healing in healings)
    return _lines(["Call", *columns], [[f"`{what}`", *(counts[what, column] for column in columns)] for what in calls])


def not_healed(healing: Healing) -> str:
    """A cell that did not heal at first, and what was wrong then and when it was tried again."""
    told = f"- call {healing.cell.call} `{healing.cell.what}`, {healing.cell.fault}: {healing.at_first}"
    return f"{told}; tried again: {healing.wrong or 'healed'}"


TAKEN_AWAY = """
## What was taken away, and what still went through

Employees, planned and pushed without one part after the other, then without any two of them; the test fails when a
leaver keeps access, or when something is written that the whole plan would not write. Samsara is no part of employees.
What is not read is not empty: an e-mail stays as it is while Entra is away, and a new person waits for it.

| taken away | leavers off | new people | names | e-mails |
| --- | --- | --- | --- | --- |
| nothing | yes | yes | yes | yes |
| viewpoint/recent_jobs | yes |  | yes | yes |
| entra/users | yes |  | yes |  |
| safetyamp_observed/site_clusters | yes |  | yes | yes |
| safetyamp_observed/sites | yes |  | yes | yes |
| safetyamp_observed/user_titles | yes | yes | yes | yes |
| safetyamp_observed/roles | yes | yes | yes | yes |
| plan/departments | yes | yes | yes | yes |
| plan/jobs | yes | yes | yes | yes |
| plan/titles | yes | yes | yes | yes |
| guard creates | yes |  | yes | yes |
| guard updates | yes | yes |  |  |
| guard moves | yes | yes | yes | yes |
"""
VALUES = """
## Values

`make hostile` puts each of these values in each field of the first record of each table that is read, and plans
everything: NUL, half a character (escaped and raw), controls, line ends, marks of no width and of direction, U+FFFD,
10,000 characters, 5,000 digits, NaN, 1e999, lists in lists, objects, 400 levels, booleans, 1797.0, blanks, nothing.

| where | what must come of it |
| --- | --- |
| a field that no rule reads | nothing at all |
| a field that a rule reads | a notice; the field is left out, or its record rejected where it is required |
| a key | its record is rejected; no other is touched |
| the id of a record in an API's listing | that table is refused by name |
| the root cluster's own fields | departments are refused by name |

Then it feeds every parser of answers, records, settings and sync.yaml with random texts; any error but our own
is a failure. The suite runs a part of both, the fuzzing with other seeds each day.
"""


def _not_healed(healings: Sequence[Healing]) -> str:
    wrong = [not_healed(healing) for healing in healings if healing.at_first]
    return "\n".join(["\n## Not healed\n", *(wrong or ["None."]), TAKEN_AWAY + VALUES])


def _columns(healings: Sequence[Healing]) -> list[str]:
    return sorted({healing.outcome for healing in healings})


def _lines(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    shown = [head, ["---"] * len(head), *([str(value or "") for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in shown)
