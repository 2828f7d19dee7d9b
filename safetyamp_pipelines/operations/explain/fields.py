"""Each field of one record: every declared source with what it says, which one was chosen, and what SafetyAmp says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safetyamp_pipelines.ledger import Link
from safetyamp_pipelines.operations.explain.source_rows import Rows, rows_of
from safetyamp_pipelines.operations.plan_step import Stored
from safetyamp_pipelines.sync.model.clean import CLEANERS, Unclean
from safetyamp_pipelines.sync.model.mapping import source_label
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import Desired, Field
from safetyamp_pipelines.sync.planning.difference import observed_value

RULES = {
    ("departments", "rule.code"): "the department's code, or the name of the region",
    ("departments", "rule.name"): "code and description, or the name of the region",
    ("departments", "rule.region"): "the region of the department, and the root for a region",
    ("jobs", "rule.name"): "job number and description",
    ("employees", "rule.home_site"): "the open job worked last, else the home office of the department",
    ("employees", "rule.role"): "employees.default_role of sync.yaml",
    ("employees", "rule.access"): "on while employed",
    ("vehicles", "rule.site"): "the driver's home site, else the site of a Samsara tag, else vehicles.default_site",
    ("vehicles", "rule.asset_type"): "vehicles.asset_type of sync.yaml at that site",
    ("vehicles", "rule.user"): "the driver assigned in Samsara",
    ("vehicles", "rule.status"): "active while Samsara lists the vehicle",
}
"""What the derived values come from, in words: by entity and source."""


def explain_fields(stored: Stored, record: Desired, row: Record | None, link: Link | None) -> list[dict[str, Any]]:
    """One entry a declared field. `row` is what SafetyAmp shows of the record, None when it is not there."""
    rows = rows_of(stored, record)
    fields = record.under(stored.spec.with_policies(stored.config))
    return [_field(stored, field, record, rows, row, link) for field in fields]


def _field(
    stored: Stored, field: Field, record: Desired, rows: Rows, row: Record | None, link: Link | None
) -> dict[str, Any]:
    sources = [_source(stored, field, source, record, rows) for source in field.sources]
    chosen = next((source["source"] for source in sources if source["usable"] is not None), None)
    pushed: Mapping[str, Any] = link.pushed if link is not None else {}
    value = record.values.get(field.name)
    return {
        "field": field.name,
        "label": field.label,
        "value": value,
        "from": None if value is None else chosen,
        "sources": sources,
        "cleaned_as": field.clean,
        "policy": str(field.policy),
        "safetyamp": None if row is None else observed_value(field, row, stored.shown, pushed),
        "last_pushed": pushed.get(field.name),
        "not_taken": link is not None and field.name in link.not_taken,
    }


def _source(stored: Stored, field: Field, source: str, record: Desired, rows: Rows) -> dict[str, Any]:
    """What one source says: its raw value, what cleaning makes of it, and why that is nothing."""
    raw = _raw(stored, field, source, record, rows)
    usable, trouble = None, None
    if raw is not None:
        try:
            usable = CLEANERS[field.clean](raw, stored.config.employees.default_phone_region)
        except Unclean as unclean:
            trouble = str(unclean)
    words = RULES.get((stored.spec.name, source))
    label = source_label(source) if words is None else f"rule ({words})"
    return {"source": label, "raw": raw, "usable": usable, "trouble": trouble}


def _raw(stored: Stored, field: Field, source: str, record: Desired, rows: Rows) -> Any:
    """A rule's value is known only as what came of it: the field's value, when no source before the rule had one."""
    table, _, column = source.partition(".")
    if table == "rule":
        return record.values.get(field.name)
    if source.startswith("sync.yaml."):
        value: Any = stored.config
        for part in source.removeprefix("sync.yaml.").split("."):
            value = getattr(value, part)
        return value
    return rows.get(table, {}).get(column)
