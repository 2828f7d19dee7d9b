"""`safetyamp failures`: which records SafetyAmp refused, and what a person decides about them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.errors import Refusal

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger import FailureState, Ledger


def failures_of(ledger: Ledger, now: datetime) -> list[dict[str, Any]]:
    """Every failure that stands at `now`, without hashes: they mean nothing to a reader."""
    return [shown_failure(entity, plain(failure)) for entity, failure in ledger.all_failures(now=now)]


def decide(ledger: Ledger, entity: str | None, key: str | None, state: FailureState, now: datetime) -> list[str]:
    """Mark the failures that are meant; without a key all of the entity, without an entity all. Gives their names.

    Raises Refusal when there is no such entity or failure.
    """
    if entity is not None and entity not in BY_NAME:
        raise Refusal(f"no such entity: {entity}. There are {', '.join(BY_NAME)}")
    standing = [(name, failure.source_key) for name, failure in ledger.all_failures(now=now)]
    meant = [found for found in standing if entity in (None, found[0]) and key in (None, found[1])]
    if not meant and key is not None:
        raise Refusal(f"no failure of {key} in {entity} is remembered. `safetyamp failures list` shows those that are")
    for name, source_key in meant:
        ledger.mark_failure(name, source_key, state)
    return [f"{name} {source_key}" for name, source_key in meant]


def told_failure(failure: dict[str, Any]) -> list[str]:
    """The lines of one failure of `failures_of`."""
    state = {"open": "stands", "retry": "is tried again", "dismissed": "dismissed"}[failure["state"]]
    until = "" if failure["state"] != "open" else f" until {failure['expires_at']}"
    head = (
        f"{failure['entity']} {failure['source_key']}: {failure['action']} refused {failure['attempts']} times, "
        f"last {failure['last_seen']} with status {failure['http_status']}; {state}{until}"
    )
    labels = {field.name: field.label for field in BY_NAME[failure["entity"]].fields}
    lines = [
        f"  {labels.get(name, name)}: {facts['category']}"
        + (f" — {facts['suggestion']}" if facts["suggestion"] else "")
        for name, facts in failure["fields"].items()
    ]
    return [head, *lines]


def shown_failure(entity: str, failure: dict[str, Any]) -> dict[str, Any]:
    """The failure as it is shown: without hashes and without what only the planner compares."""
    told = {name: value for name, value in failure.items() if name not in ("payload_hash", "cause", "fields")}
    fields = {
        name: {"category": facts.get("category", "unknown"), "suggestion": facts.get("suggestion", "")}
        for name, facts in failure["fields"].items()
    }
    return {"entity": entity, **told, "fields": fields}
