"""`safetyamp unlink`: forgets a wrong pair of source record and SafetyAmp record, and keeps who wanted it and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.errors import Refusal

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger import Ledger, Unlinked


def unlink(ledger: Ledger, entity: str, key: str, who: str, reason: str) -> Unlinked:
    """Forget the pair. Raises Refusal when there is no such entity or link, IntentUnsettled while a call is open."""
    if entity not in BY_NAME:
        raise Refusal(f"no such entity: {entity}. There are {', '.join(BY_NAME)}")
    unlinked = ledger.unlink(entity, key, who, reason)
    if unlinked is None:
        raise Refusal(
            f"{BY_NAME[entity].noun} {key} is linked to nothing: `safetyamp explain {BY_NAME[entity].noun} {key}`"
        )
    return unlinked


def unlinked_of(ledger: Ledger, entity: str | None) -> list[dict[str, Any]]:
    """Every pair that was forgotten, newest first."""
    return [plain(unlinked) for unlinked in ledger.unlinked(entity)]


def told_unlinked(unlinked: dict[str, Any]) -> str:
    """The line of one of them."""
    return (
        f"{unlinked['entity']} {unlinked['source_key']}: forgotten by {unlinked['who']} at {unlinked['at']} that it is "
        f"SafetyAmp id {unlinked['target_id']}: {unlinked['reason']}"
    )
