"""The metadata of plans and pushes: counts and keys people want to see over time, never a person's value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from safetyamp_pipelines.operations.local_time import duration
from safetyamp_pipelines.operations.plan_view import summary_of
from safetyamp_pipelines.sync.model.plan import NOT_DONE, Outcome, Plan, Verdict

if TYPE_CHECKING:
    from safetyamp_pipelines.operations.push_step import Pushed

MOST_ROWS = 100
"""A table in metadata lives in the event log for ever: long lists are cut, and `safetyamp plan` shows them whole."""

PLOTTED = ("created", "updated", "deactivated", "unchanged", "rejected", "failed")
"""Verdicts that are reported also when they are 0, so that their curves have no holes."""


STOPPED = "stopped"
"""Metadata of the observation that a push leaves which a pause or a freeze stopped: why."""


def plan_metadata(
    plan: Plan, unread: Mapping[str, str], *, seconds: float, desk_url: str | None = None
) -> dict[str, Any]:
    """What would change in one line, verdict counts (one number each, so that the UI plots them), changes by key and
    fields, rejected records with reasons, and where the desk shows it with values."""
    return {
        "summary": summary_of(plan),
        **({"desk": dg.MetadataValue.url(f"{desk_url}/plan/{plan.entity}")} if desk_url else {}),
        **_counts(plan.counts()),
        "changes": len(plan.changes),
        "dagster/row_count": len(plan.changes),
        "changed": _changes(plan),
        "plan_hash": plan.hash,
        "as_of": plan.as_of,
        "took": duration(seconds),
        "planned_without": ", ".join(f"{name} ({why})" for name, why in unread.items()) or "nothing is missing",
        "finding_drift": 0,  # reported when 0 too: people watch it over time
        **{f"finding_{kind}": number for kind, number in sorted(Counter(f.kind for f in plan.findings).items())},
        "not_in_step": _table([v for v in plan.verdicts if v.outcome in (Outcome.REJECTED, Outcome.HELD)]),
    }


def push_metadata(plan: Plan, pushed: Pushed, calls: int, seconds: float) -> dict[str, Any]:
    """Verdict counts, calls made against the fewest possible (one a change), and what did not end as planned."""
    return {
        **_counts(pushed.result.counts()),
        "session": str(pushed.session),
        "plan_hash": plan.hash,
        "calls": calls,
        "fewest_calls": len(plan.changes),
        "writes": pushed.result.writes,
        "took": duration(seconds),
        "dagster/row_count": len(pushed.result.rows),
        "not_as_planned": _table([v for v in pushed.result.verdicts if v.outcome in NOT_DONE]),
    }


def dry_run_metadata(plan: Plan) -> dict[str, Any]:
    """What a push would have done, by action; the plan's own page shows the records."""
    actions = Counter(str(change.action) for change in plan.changes)
    return {
        "dry_run": True,
        "plan_hash": plan.hash,
        "changes": len(plan.changes),
        **{f"would_{action}": number for action, number in sorted(actions.items())},
        "look_closer": f"safetyamp plan {plan.entity}",
    }


def _counts(counts: dict[str, int]) -> dict[str, Any]:
    plotted = dict.fromkeys(PLOTTED, 0) | counts
    return {"verdicts": dg.MetadataValue.json(counts), **{f"verdict_{name}": n for name, n in plotted.items()}}


def _changes(plan: Plan) -> dg.TableMetadataValue:
    """The changes without their values, those that guards hold too."""
    held = [(one.change, one.guard) for one in plan.held]
    rows = [
        {
            "key": change.source_key,
            "action": str(change.action),
            "fields": ", ".join(change.fields),
            "held by": guard,
        }
        for change, guard in [*held, *((change, "") for change in plan.changes)][:MOST_ROWS]
    ]
    schema = dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in ("key", "action", "fields", "held by")])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows], schema=schema)


def _table(verdicts: list[Verdict]) -> dg.TableMetadataValue:
    schema = dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in ("key", "verdict", "why")])
    records = [
        dg.TableRecord({"key": v.source_key, "verdict": str(v.outcome), "why": "; ".join(v.reasons) or v.rule})
        for v in verdicts[:MOST_ROWS]
    ]
    return dg.MetadataValue.table(records, schema=schema)
