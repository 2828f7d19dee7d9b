"""One row of a report: a change as it may be shown to anybody. Fields by name, never a value of a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from safetyamp_pipelines.ledger.records import LoggedChange
from safetyamp_pipelines.operations.reports.waiting import Wait
from safetyamp_pipelines.settings.logs import redacted


@dataclass(frozen=True, kw_only=True)
class ReportedChange:
    """A change of the ledger without its values; its fields are the columns of the file. `status` is "unanswered" while
    no answer is known, a wait None where the ledger does not know it.
    """

    entity: str
    key: str
    action: str
    status: str
    fields: tuple[str, ...]
    refused_fields: tuple[str, ...]
    rule: str
    http_status: int | None
    session: int
    run_id: str
    intended_at: datetime
    answered_at: datetime | None
    waited_at_least_seconds: float | None
    waited_at_most_seconds: float | None


def reported(change: LoggedChange, wait: Wait) -> ReportedChange:
    """The row of one change."""
    return ReportedChange(
        entity=change.entity,
        key=change.source_key,
        action=change.action,
        status=change.status or "unanswered",
        fields=tuple(sorted(change.fields)),
        refused_fields=_names(change.error),
        rule=str(redacted("rule", change.rule or "")),
        http_status=change.http_status,
        run_id=change.run_id,
        session=change.session_id,
        intended_at=change.intended_at,
        answered_at=change.answered_at,
        waited_at_least_seconds=_seconds(wait.at_least),
        waited_at_most_seconds=_seconds(wait.at_most),
    )


def _names(error: Any) -> tuple[str, ...]:
    """The names of the fields SafetyAmp objected to; whatever else the ledger holds of the error is not shown."""
    if isinstance(error, Mapping | list | tuple):
        return tuple(sorted(str(name) for name in error))
    return ()


def _seconds(wait: timedelta | None) -> float | None:
    return None if wait is None else round(wait.total_seconds(), 3)
