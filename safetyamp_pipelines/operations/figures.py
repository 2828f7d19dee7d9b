"""What a run did in one line: first what was done, then what was not. Counts alone, no keys and no values."""

from __future__ import annotations

from collections.abc import Mapping

from safetyamp_pipelines.sync.model.plan import OUTCOME_OF, Outcome

PARTS: Mapping[str, tuple[Outcome, ...]] = {
    "done": tuple(OUTCOME_OF.values()),
    "failed": (Outcome.FAILED, Outcome.BLOCKED, Outcome.STALE),
    "not attempted": (Outcome.NOT_ATTEMPTED,),
    "held": (Outcome.HELD,),
    "rejected": (Outcome.REJECTED,),
}


def figures_of(entities: Mapping[str, Mapping[str, int]]) -> str:
    """Counts by entity and verdict as `done: titles 2 created, employees 5 updated; failed: employees 1; held: …`."""
    parts = {name: [_of(entity, counts, kinds) for entity, counts in entities.items()] for name, kinds in PARTS.items()}
    joined = {name: ", ".join(filter(None, found)) for name, found in parts.items()}
    return "; ".join(f"{name}: {text or 'nothing'}" for name, text in joined.items() if text or name == "done")


def _of(entity: str, counts: Mapping[str, int], kinds: tuple[Outcome, ...]) -> str:
    found = {str(kind).replace("_", " "): counts[kind] for kind in kinds if counts.get(kind)}
    if len(kinds) == 1 or set(found) == {"failed"}:  # the part's name says it
        return " ".join([entity, *map(str, found.values())]) if found else ""
    return f"{entity} {', '.join(f'{number} {name}' for name, number in found.items())}" if found else ""
