"""Text from outside: what is kept of it when it is read, and how it is displayed on any surface. No cleaning for
SafetyAmp here, that is clean.py's.
"""

from __future__ import annotations

import re

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


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
