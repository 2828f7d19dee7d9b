"""What waits for people: refused, rejected, held, vanished, unmanaged and drifted records, with age, owner and what to
do. For people's eyes: it holds names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.decisions import ways_out
from safetyamp_pipelines.operations.explain.search import names_of
from safetyamp_pipelines.operations.plan_step import Stored
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.rules.owners import owner_of

OWNERS = {
    "refused": "the source's maintainers",
    "rejected": "the source's maintainers",
    "held": "the approvers",
    "unanswered": "nobody: the next sync looks it up",
    "vanished": "the SafetyAmp administrator",
    "unmanaged": "the SafetyAmp administrator",
    "drift": "the source's maintainers",
}
TODO = {
    "refused": "correct it at the source, or in SafetyAmp; it is tried again automatically, or at once with Retry",
    "rejected": "correct it at the source: the next sync picks it up",
    "held": "open the record: its page shows the choices",
    "unanswered": "nothing: the next sync looks up what became of the call",
    "vanished": "if it is gone for good, switch it off in SafetyAmp; if not, enter it at the source again",
    "unmanaged": "if it belongs to a source record, enter its number in SafetyAmp; otherwise nothing",
    "drift": "if the edit is right, enter it at the source (`safetyamp drift`); otherwise nothing",
}
"""What a person does about each, in a sentence."""


@dataclass(frozen=True, order=True)
class Item:
    """One record that waits. `since` is when it was first seen so, or when the newest plan was made."""

    owner: str
    kind: str
    since: datetime
    entity: str
    key: str
    name: str
    why: str
    todo: str


def queue_of(stored: Mapping[str, Stored], ledger: Ledger, now: datetime) -> list[Item]:
    """Everything that waits, by owner and kind, the oldest first."""
    names = {entity: names_of(one) for entity, one in stored.items()}
    items = [*_waiting(stored, names, ledger, now), *_found(stored, names)]
    rows = {entity: one.spec.key.by_key(one.records(one.spec.key.table)) for entity, one in stored.items()}
    return sorted(_owned(stored.get(item.entity), rows.get(item.entity, {}).get(item.key), item) for item in items)


def _owned(one: Stored | None, row: Record | None, item: Item) -> Item:
    """The item with the address that sync.yaml names for it; an item that nobody has to act on gets none."""
    address = owner_of(one.config.owners, one.spec, row) if one is not None and item.kind != "unanswered" else None
    return replace(item, owner=address or item.owner)


def _waiting(
    stored: Mapping[str, Stored], names: Mapping[str, Mapping[str, str]], ledger: Ledger, now: datetime
) -> Iterator[Item]:
    verdicts = {
        (entity, verdict.source_key): verdict for entity, one in stored.items() for verdict in one.plan.verdicts
    }
    failures = {(entity, failure.source_key): failure for entity, failure in ledger.all_failures(now=now)}
    for one in ledger.waiting(now):
        place = (one.entity, one.source_key)
        verdict, failure = verdicts.get(place), failures.get(place)
        why = "; ".join([*(verdict.reasons or (verdict.rule,)), *verdict.notes]) if verdict is not None else ""
        if one.state == "refused" and failure is not None:
            labels = {field.name: field.label for field in BY_NAME[one.entity].fields}
            suggestions = [
                f"{labels.get(name, name)}: {facts.get('suggestion') or facts.get('category', '')}"
                for name, facts in failure.fields.items()
            ]
            why = "; ".join(suggestions) or why
        name = names.get(one.entity, {}).get(one.source_key, "")
        ways = ways_out(stored[one.entity].plan, one.source_key) if one.entity in stored else []
        todo = "; ".join(ways) if one.state == "held" and ways else TODO[one.state]
        yield Item(OWNERS[one.state], one.state, one.since, *place, name, why, todo)


def _found(stored: Mapping[str, Stored], names: Mapping[str, Mapping[str, str]]) -> Iterator[Item]:
    for entity, one in stored.items():
        since = datetime.fromisoformat(one.plan.as_of)
        for finding in one.plan.findings:
            owner = OWNERS.get(finding.kind, OWNERS["unmanaged"])
            todo = TODO.get(finding.kind, "look at it; nothing is changed automatically")
            name = names[entity].get(finding.key, "")
            kind = finding.kind.replace("_", " ")
            yield Item(owner, kind, since, entity, finding.key, name, finding.text, todo)
