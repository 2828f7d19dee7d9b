"""What became of the source records of one entity."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Verdicts:
    """Source keys by what becomes of them; the rest is in step afterwards."""

    records: int = 0
    rejected: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    out_of_scope: set[str] = field(default_factory=set)

    def reject(self, key: str) -> None:
        """This record cannot be synced."""
        self.rejected.add(key)
