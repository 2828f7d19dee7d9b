"""The records of the embedded SafetyAmp and every way to change them: by its API, and by a person at its screens."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from safetyamp_pipelines.sandbox.safetyamp_ids import UserIds, next_number
from safetyamp_pipelines.sandbox.safetyamp_options import TargetOptions
from safetyamp_pipelines.sandbox.safetyamp_rules import check, clean, contradictions
from safetyamp_pipelines.sandbox.safetyamp_schema import ENDPOINTS, NEW_RECORD, TABLES
from safetyamp_pipelines.sandbox.safetyamp_seed import SEEDED_AT, flat, moment, verify
from safetyamp_pipelines.sandbox.safetyamp_views import Row, blank, to_shown, to_stored

API_USER = "aPi0K"  # who writes through the API
PERSON = "pErs0"  # who edits at the screens


class SafetyAmpState:
    """All tables of one tenant; safe to use from any thread.

    `seed` holds records in the shape of a listing (`children` of clusters nested or not, ids optional) or under their
    written names. A reference to nothing, an id given twice or an unknown field in it raises ValueError.
    """

    def __init__(
        self,
        seed: Mapping[str, Iterable[Row]] | None = None,
        options: TargetOptions | None = None,
        *,
        id_seed: int = 0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.options = options or TargetOptions()
        self._clock, self._user_ids, self._lock = clock, UserIds(id_seed), threading.RLock()
        self._rows: dict[str, dict[Any, dict[str, Any]]] = {table: {} for table in TABLES}
        for table, records in (seed or {}).items():
            for record in flat(records):
                self._add(table, to_stored(table, record), SEEDED_AT, author=None)
        verify(self._rows)

    def tables(self, *, hidden: bool = False) -> dict[str, list[dict[str, Any]]]:
        """Copies of all records as SafetyAmp shows them, clusters flat, users with their write-only supervisor.

        Deleted records are left out unless `hidden`.
        """
        with self._lock:
            return {
                table: [self._truth(table, row) for row in self._rows[table].values() if hidden or not _deleted(row)]
                for table in ENDPOINTS
            }

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        """Everything, deleted records too, as a seed from which an equal state can be made."""
        with self._lock:
            return {table: copy.deepcopy(list(rows.values())) for table, rows in self._rows.items()}

    def edit(self, table: str, id_: Any, /, **fields: Any) -> dict[str, Any]:
        """A person changes fields (written names, or shown ones) of a record; returns it as shown.

        Formats and references hold, required and unique do not. Raises KeyError for an unknown record and ValueError
        for a field or value SafetyAmp does not take.
        """
        with self._lock:
            row = self._rows[table][id_]
            row.update(self._checked(table, fields, row))
            self._stamp(table, row, "updated", PERSON)
            return self._truth(table, row)

    def insert(self, table: str, /, **fields: Any) -> dict[str, Any]:
        """A person adds a record; `id` is SafetyAmp's choice unless given. Returns it as shown; raises as `edit`."""
        with self._lock:
            stored = self._checked(table, fields, blank(table))
            return self._truth(table, self._add(table, stored, self._clock(), author=PERSON))

    def hide(self, table: str, id_: Any, /, *, author: str = PERSON) -> dict[str, Any]:
        """Delete softly: the record leaves the listings; a user may keep its e-mail and mobile number taken.

        Raises KeyError for an unknown record.
        """
        with self._lock:
            row = self._rows[table][id_]
            row["deleted_at"] = moment(table, self._clock())
            self._stamp(table, row, "deleted", author)
            return self._truth(table, row)

    def listing(self, table: str) -> list[Row]:
        """The records that are shown, as stored, in the order in which they are listed."""
        with self._lock:
            rows: list[Row] = [
                row for row in self._rows[table].values() if self.options.lists_deleted or not _deleted(row)
            ]
        return rows[::-1] if self.options.newest_first else rows

    def shown(self, table: str, row: Row) -> dict[str, Any]:
        """A stored record in the shape of the API."""
        with self._lock:
            return to_shown(table, row, self._any_row, with_supervisor=self.options.supervisor_readable)

    def row(self, table: str, id_: Any) -> Row | None:
        """The record with that id as stored, None when there is none or it is deleted. User ids are case-sensitive."""
        found = self._any_row(table, id_)
        return None if found is None or _deleted(found) else found

    def is_taken(self, table: str, name: str, value: Any, but: Any) -> bool:
        """Whether a record other than `but` holds the text, in any case, of a unique field; deleted ones may count."""
        if name not in self._unique(table):
            return False
        wanted, reserved = value.casefold(), self.options.hidden_users_reserve
        return any(
            row[name] is not None and row[name].casefold() == wanted and row["id"] != but
            for row in self._rows[table].values()
            if reserved or not _deleted(row)
        )

    def create(self, table: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Add a record through the API; returns it as shown. Raises Refused with the fields that are wrong."""
        with self._lock:
            stored = clean(table, body, None, self, self.options)
            return self.shown(table, self._add(table, stored, self._clock(), author=API_USER))

    def update(self, table: str, id_: Any, body: Mapping[str, Any], *, replace: bool = False) -> dict[str, Any]:
        """Change the fields `body` carries; with `replace` the optional ones it lacks become null. Returns it as shown.

        Raises KeyError for an unknown or deleted record and Refused with the fields that are wrong.
        """
        with self._lock:
            if self.row(table, id_) is None:
                raise KeyError(id_)
            row = self._rows[table][id_]
            if replace:
                kept = {*TABLES[table].required_on_create, *NEW_RECORD.get(table, {})}
                body = {**{name: None for name in TABLES[table].fields if name not in kept}, **body}
            row.update(clean(table, body, row, self, self.options))
            self._stamp(table, row, "updated", API_USER)
            return self.shown(table, row)

    def _any_row(self, table: str, id_: Any) -> dict[str, Any] | None:
        return self._rows[table].get(id_)

    def _truth(self, table: str, row: Row) -> dict[str, Any]:
        shown = self.shown(table, row)
        if table == "users":
            shown["current_supervisor_id"] = row["current_supervisor_id"]
        return shown

    def _unique(self, table: str) -> set[str]:
        names = set(TABLES[table].unique)
        if table == "user_titles" and self.options.unique_titles:
            names.add("name")
        if table == "users" and self.options.unique_emp_id:
            names.add("emp_id")
        if table == "assets" and self.options.unique_serials:
            names.add("serial")
        return names

    def _add(self, table: str, stored: dict[str, Any], at: datetime, author: str | None) -> dict[str, Any]:
        row, used = {**blank(table), **stored}, self._rows[table]
        if row["id"] is None:
            row["id"] = self._user_ids.new(used) if table == "users" else next_number(used)
        if row["id"] in used:
            raise ValueError(f"{table} has the id {row['id']!r} already")
        for name in ("created_at", "updated_at"):
            row[name] = row[name] or moment(table, at)
        if author is not None:
            self._stamp(table, row, "created", author)
        used[row["id"]] = row
        return row

    def _stamp(self, table: str, row: dict[str, Any], what: str, author: str) -> None:
        """Record when and by whom, as far as the table shows it."""
        if f"{what}_at" in row:
            row[f"{what}_at"] = moment(table, self._clock())
        if TABLES[table].audited:
            row[f"{what}_by"] = author

    def _checked(self, table: str, fields: Mapping[str, Any], before: Row) -> dict[str, Any]:
        """A person's input as it is stored."""
        stored = to_stored(table, fields)
        for name, value in stored.items():
            spec = TABLES[table].fields.get(name)
            if spec is not None and value is not None:
                given = [{"id": id_} for id_ in value] if spec.kind == "references" else value
                stored[name] = check(name, spec, given, self, self.options)
        if wrong := contradictions(table, {**before, **stored}, self):
            raise ValueError(f"{table}: {wrong}")
        return stored


def _deleted(row: Row) -> bool:
    return row.get("deleted_at") is not None
