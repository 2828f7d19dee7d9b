"""New SafetyAmp ids: opaque case-sensitive ones for users, counting ones for the rest. No records here."""

from __future__ import annotations

import random
import string
from collections.abc import Container, Iterable

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 5


class UserIds:
    """Five letters and digits, the same for the same seed; every third differs from the one before by case only."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._given = 0
        self._last = ""

    def new(self, used: Container[str]) -> str:
        """An id that is not in `used`."""
        self._given += 1
        if self._given % 3 == 0 and self._last.swapcase() not in used:
            return self._last.swapcase()
        while True:
            id_ = "".join(self._random.choices(_ALPHABET, k=_LENGTH - 1)) + self._random.choice(string.ascii_letters)
            if id_ not in used:
                self._last = id_
                return id_


def next_number(used: Iterable[int]) -> int:
    """The id after the highest one used; tables start at 5001."""
    return max(used, default=5000) + 1
