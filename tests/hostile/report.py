"""What came of the hostile values as a table in docs/reliability.md: system and kind of field by kind of poison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from reliability.report import lines

from hostile.values import KEY, NOT_READ, NOTHING, POISONS, READ, SYSTEMS

HEADING = "## Values"
GROUPS: Mapping[str, Sequence[str]] = {
    "cannot be read": ("half a pair", "half a pair, raw", "unreadable"),
    "unseen characters": ("NUL", "ESC and C1", "lines", "bidi and zero width"),
    "odd text": ("a lost letter", "a step of a path"),
    "too long": ("10,000 characters", "5,000 digits"),
    "no number": ("NaN", "beyond all numbers"),
    "another type": ("list in a list", "object", "400 deep", "true", "float"),
    "nothing": ("blanks", "nothing"),
}
assert sorted(poison for group in GROUPS.values() for poison in group) == sorted(POISONS)
_GROUP_OF = {poison: group for group, poisons in GROUPS.items() for poison in poisons}
_HEAD = """
`make hostile` puts each of these values in each field of the first record of each table that is read, and plans
everything; this table is its own. *Cannot be read*: half a character (escaped, raw), U+FFFD. *Unseen characters*:
NUL, ESC and C1, line ends, marks of no width and of direction. *Odd text*: `Nguy?n`, `..`. *Too long*: 10,000
characters, 5,000 digits. *No number*: NaN, 1e999. *Another type*: lists in lists, an object, 400 levels, true,
1797.0. *Nothing*: blanks, null.

What must come of each, and a cell in which it does not is a failure: the table is read whole or refused by name,
every entity is planned, every record has one verdict, what changes is about the poisoned record alone, nothing unseen
is in what would be written, and a field that no rule reads does nothing but give a notice. `created` is the record
under the key that it now has, `updated` the text without what is unseen. A plan is refused only for the root cluster.
"""
_TAIL = """
Then it feeds every parser of answers, records, settings and sync.yaml with random texts; any error but our own
is a failure. The suite runs a part of both, the fuzzing with other seeds each day.
"""


def section(outcomes: Iterable[tuple[str, str, str, str]]) -> str:
    """The section of the page, from (table, kind of field, poison, what came of it) of all cells."""
    counts = Counter(
        (table.partition("/")[0], kind, _GROUP_OF[poison], outcome) for table, kind, poison, outcome in outcomes
    )
    rows = [
        [system.removesuffix("_observed"), kind, *(_cell(counts, system, kind, group) for group in GROUPS)]
        for system in SYSTEMS
        for kind in (KEY, READ, NOT_READ)
    ]
    failed = sum(number for (*_, outcome), number in counts.items() if outcome.startswith(FAILED))
    table = lines(["system", "field", *GROUPS], rows)
    told = f"\n\n{counts.total():,} cells, {failed} failed.\n"
    return "\n".join([HEADING, _HEAD, table + told + _TAIL])


FAILED = "failed"


def _cell(counts: Counter[tuple[str, str, str, str]], system: str, kind: str, group: str) -> str:
    found = {key[3]: number for key, number in counts.items() if key[:3] == (system, kind, group)}
    in_order = sorted(found, key=lambda outcome: (outcome != NOTHING, -found[outcome], outcome))
    return ", ".join(f"{outcome} {found[outcome]}" for outcome in in_order)
