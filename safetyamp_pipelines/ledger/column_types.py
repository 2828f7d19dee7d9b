"""Column types that behave alike on SQLite and PostgreSQL. No tables here."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from sqlalchemy import JSON, DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

from safetyamp_pipelines.ledger.records import TargetId

# JSON text on both databases, not JSONB: it is never searched inside, keeps what was written as it was written, and
# takes the \u0000 that JSONB refuses. An absent value is SQL NULL.
Json = JSON(none_as_null=True)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite stores none, PostgreSQL answers in the time zone of the server."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse a naive time (ValueError): it would be read as another moment on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the ledger takes aware times only")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """The stored moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SafetyAmpId(TypeDecorator[TargetId]):
    """A SafetyAmp id as JSON text, so that the number 12345 and the user id "12345" stay two things."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: TargetId | None, _dialect: Dialect) -> str | None:
        """`6001` or `"aB3dE"`."""
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> TargetId | None:
        """The id in its own type."""
        if value is None:
            return None
        target_id: TargetId = json.loads(value)
        return target_id
