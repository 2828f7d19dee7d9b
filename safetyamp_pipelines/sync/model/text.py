"""Text from outside: what is kept of it when it is read, and how it is displayed on any surface. No cleaning for
SafetyAmp here, that is clean.py's.
"""

from __future__ import annotations

import math
import re
from typing import Any

UNREADABLE = "\ufffd"
"""What stands for a character that could not be read."""
_DEEPEST = 50
_NO_CHARACTER = re.compile("[\ud800-\udfff]")  # halves of surrogate pairs
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SUSPECT = re.compile(r"\\(?:u00[01]|[bf])|[\x7f-\x9f\ud800-\udfff\ufffd]")

LONGEST_DISPLAYED = 300
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
# Controls of both sets, line separators, marks of no width, marks that turn the direction of what follows, and halves
# of surrogate pairs: what clears a terminal, forges a line or hides in a name.
_MISLEADING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def displayed(text: object, limit: int | None = LONGEST_DISPLAYED) -> str:
    r"""Text on one line, with everything that could mislead a reader escaped (`\n`, `\x1b`, `\u202e`) and what is over
    `limit` characters cut. Markup of a surface is still that surface's to escape.
    """
    whole = str(text)
    kept = whole if limit is None or len(whole) <= limit else whole[: limit - 1] + "…"
    return _MISLEADING.sub(_escaped, kept)


def displayed_lines(text: str) -> str:
    """Text of several lines, with all but its line ends escaped."""
    return "\n".join(displayed(line, None) for line in text.split("\n"))


def displayed_json(text: str) -> str:
    """JSON text with the same meaning, in which nothing steers a terminal. Its line ends are those between values."""
    return _MISLEADING.sub(lambda match: match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}", text)


def is_suspect(text: str) -> bool:
    """Whether the JSON text of a value may hold what `usable` would change, or what could not be read."""
    return _SUSPECT.search(text) is not None


def usable(value: Any, _depth: int = 0) -> Any:
    """A JSON value as every database, file and hash takes it: an invalid character becomes U+FFFD, controls are
    dropped, NaN, infinities and endless nesting become None. Line ends and tabs stay.
    """
    match value:
        case str():
            return _CONTROLS.sub("", _NO_CHARACTER.sub(UNREADABLE, value))
        case float():
            return value if math.isfinite(value) else None
        case dict() | list() if _depth >= _DEEPEST:
            return None
        case dict():
            return {usable(str(name)): usable(inner, _depth + 1) for name, inner in value.items()}
        case list():
            return [usable(inner, _depth + 1) for inner in value]
    return value


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
