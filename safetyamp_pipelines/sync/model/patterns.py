"""Regular expressions of sync.yaml, matched within a bounded time whatever they and the text are."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from re import _constants, _parser  # type: ignore[attr-defined]  # the parser of `re` itself has no public name
from typing import Any

LONGEST = 200
"""Characters of a text that are looked at."""
COSTLIEST = 10_000_000
"""Ways to match that may have to be tried: tenths of a second."""
_TOKEN = re.compile(r"\\s([*+])|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)


def searched(pattern: str, text: str) -> re.Match[str] | None:
    """The first match in the beginning of a text, in which blanks and line ends in a row are one."""
    single = re.sub(r"\s+", lambda blanks: "\n" if "\n" in blanks[0] else " ", text[: 4 * LONGEST])
    return re.search(_on_single_blanks(pattern), single[:LONGEST])


def is_costly(pattern: str) -> bool:
    """Whether a text could make the pattern try more ways than is bearable, as (a+)+ or .*.*.* would."""
    parsed = _parser.parse(_on_single_blanks(pattern))
    has_one_start = list(parsed)[:1] == [(_constants.AT, _constants.AT_BEGINNING)]
    is_anchored = has_one_start and not parsed.state.flags & re.MULTILINE
    return _ways(parsed) * (1 if is_anchored else LONGEST) > COSTLIEST


def _on_single_blanks(pattern: str) -> str:
    r"""The pattern for a text with one blank at a time: there \s* is \s?, which is cheap."""
    return _TOKEN.sub(lambda found: {"*": r"\s?", "+": r"\s", None: found[0]}[found[1]], pattern)


def _ways(items: Iterable[Any]) -> float:
    """How many ways there are to match a sequence, at most."""
    return math.prod(_ways_of(kind, value) for kind, value in items)


def _ways_of(kind: Any, value: Any) -> float:
    if kind in _REPEATS:
        least, most, body = value
        inner = _ways(body)
        if inner == 1:
            return float(min(int(most), LONGEST) - least + 1)
        return 1 + inner if most <= 1 else math.inf
    if kind is _constants.BRANCH:
        return sum(_ways(branch) for branch in value[1])
    if kind is _constants.SUBPATTERN:
        return _ways(value[-1])
    if kind in (_constants.ASSERT, _constants.ASSERT_NOT):
        return _ways(value[1])
    return 1 if kind not in (_constants.GROUPREF_EXISTS, _constants.ATOMIC_GROUP) else math.inf
