"""`safetyamp explain`: everything known about one source record, from the ledger and the newest stored run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.decisions import decision_document, failure_document, ways_out
from safetyamp_pipelines.operations.explain.absent import finder, why_absent
from safetyamp_pipelines.operations.explain.calls import call_document
from safetyamp_pipelines.operations.explain.fields import explain_fields
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.operations.plan_step import Stored
from safetyamp_pipelines.sync.model.plan import Change
from safetyamp_pipelines.sync.model.remembered import Link
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec
from safetyamp_pipelines.sync.model.tables import Id

MOST_CALLS = 10


def explain_stored(stored: Stored, key: str, ledger: Ledger, runs: int) -> dict[str, Any]:
    """The document of `safetyamp explain --json`. Holds a person's values: it is shown, never logged."""
    spec, record = stored.spec, found_by_key(stored, key)
    source_key = record.source_key if record is not None else key
    memory = _memory(stored, source_key, ledger, runs)
    return {
        "entity": spec.name,
        "key": source_key,
        "run_id": stored.run_id,
        "plan": {"hash": stored.plan.hash, "as_of": stored.plan.as_of},
        "read_at": {source: stored.read_at(source) for source in spec.sources},
        "absent": why_absent(stored, key, ledger) if record is None else [],
        **(_present(stored, record, memory["history"]) if record is not None else {}),
        **memory,
    }


def found_by_key(stored: Stored, key: str) -> Desired | None:
    """By source key, then by natural key; each time as it is, then without regard to case and leading zeros."""
    ways = finder(key)
    near = stored.desired_of(lambda found: any(is_meant(found) for is_meant in ways))
    return _first(near, ways) or _first(stored.desired, ways)


def _first(records: Sequence[Desired], ways: Sequence[Callable[[Any], bool]]) -> Desired | None:
    tries = ((is_meant, name) for is_meant in ways for name in ("source_key", "natural_key"))
    found = (one for is_meant, name in tries for one in records if is_meant(getattr(one, name)))
    return next(found, None)


def _present(stored: Stored, record: Desired, history: list[dict[str, Any]]) -> dict[str, Any]:
    """The verdict is the run's last word on the record: after a push what the push found out, else the plan's."""
    key = record.source_key
    link = stored.inputs.memory.links.get(key)
    changes = [change for change in stored.plan.changes if change.source_key == key]
    verdicts = [one for one in history if one["run_id"] == stored.run_id]
    verdicts += [plain(verdict) for verdict in stored.plan.verdicts if verdict.source_key == key]
    row = _row(stored, _target_id(stored, key, changes))
    return {
        "verdict": verdicts[0] if verdicts else None,
        "change": [_change(stored.spec, change) for change in changes],
        "safetyamp_id": None if row is None else row["id"],
        "fields": explain_fields(stored, record, row, link if isinstance(link, Link) else None),
        "guards": [str(refused) for refused in stored.plan.refused if key in refused.keys],
        "ways": ways_out(stored.plan, key),
    }


def _target_id(stored: Stored, key: str, changes: list[Change]) -> Id | None:
    """The SafetyAmp record that the plan recognised, else the one it is linked to, by this run's push or before."""
    for agreed in stored.plan.agreed:
        if agreed.source_key == key:
            return agreed.target_id
    if changes and changes[0].target_id is not None:
        return changes[0].target_id
    link = stored.inputs.memory.links.get(key)
    return None if link is None else link.target_id


def _row(stored: Stored, target_id: Id | None) -> Record | None:
    return None if target_id is None else stored.shown[stored.spec.table].rows.get(target_id)


def _change(spec: EntitySpec, change: Change) -> dict[str, Any]:
    pairs = {spec.field(name).label: [before, after] for name, (before, after) in change.fields.items()}
    return {"action": str(change.action), "cause": change.cause, "fields": pairs}


def _memory(stored: Stored, key: str, ledger: Ledger, runs: int) -> dict[str, Any]:
    """What the ledger has about it: link, failure, the verdicts of the last runs, the last calls and their answers."""
    entity, link = stored.spec.name, stored.inputs.memory.links.get(key)
    failure = ledger.failures(entity).get(key)
    # Of a push that died nothing is known but the plan and its calls.
    pushed = {s.run_id for s in ledger.sessions(500, entity=entity) if s.status in ("done", "paused", "stopped")}
    history = ledger.verdict_history(entity, key, runs)
    calls = ledger.changes(entity=entity, source_key=key, limit=MOST_CALLS)
    return {
        "link": None
        if link is None
        else {"safetyamp_id": link.target_id, "key": link.natural_key, "updated_at": plain(link.updated_at)},
        "decisions": [decision_document(one) for one in ledger.decisions(entity, key)],
        "failure": None if failure is None else failure_document(entity, plain(failure)),
        "history": [{**plain(one), "was_pushed": one.run_id in pushed} for one in history],
        "calls": [call_document(stored.spec, call) for call in calls],
    }
