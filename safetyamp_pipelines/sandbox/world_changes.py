"""Changes of the sources while everything runs: hires, leavers, moves, edits. SafetyAmp is not changed here."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from safetyamp_pipelines.sandbox import world_jobs
from safetyamp_pipelines.sandbox.viewpoint_schema import TABLES
from safetyamp_pipelines.sandbox.world_accounts import DOMAIN, account
from safetyamp_pipelines.sandbox.world_model import COMPANY, Row, World, WorldSpec, dice
from safetyamp_pipelines.sandbox.world_people import employee as employee_row
from safetyamp_pipelines.sandbox.world_people import home_office_departments
from safetyamp_pipelines.sandbox.world_timecards import payroll_interface, timecard
from safetyamp_pipelines.sandbox.world_vehicles import driver

_WAIT = 30.0  # seconds a change waits for a reader of the SQLite file


class Sources:
    """Changes Viewpoint (the world and its SQLite file), Entra and Samsara; safe from several threads.

    Running applications serve a change from the next request on. KeyError: there is no such record;
    ValueError: there is no such table, column or action. Dates are `datetime.date` or ISO text.
    """

    def __init__(self, world: World, sqlite_path: Path | str) -> None:
        self.world = world
        self._path = sqlite_path
        self._accounts_added = 0

    @property
    def spec(self) -> WorldSpec:
        """The spec the world was built from."""
        return self.world.spec

    def apply(self, action: str, arguments: Mapping[str, Any]) -> Any:
        """Call an action by name with JSON arguments; the answer is JSON again."""
        if action not in ACTIONS:
            raise ValueError(f"there is no action {action!r}; the actions are {', '.join(ACTIONS)}")
        return getattr(self, action)(**arguments)

    def hire(
        self,
        first: str = "Ada",
        last: str = "Newhire",
        *,
        department: str | None = None,
        job: str | None = None,
        with_account: bool = True,
        **columns: Any,
    ) -> int:
        """A new employee of company 1; returns the number.

        Without `department` one that has a home office; with `job` a timecard on it; `with_account` adds an Entra
        account with a mail, else the payroll holds an e-mail. `columns` are bPREH columns to set.
        """
        with self.world.lock:
            number = 1 + max((r["Employee"] for r in self.world.viewpoint["bPREH"]), default=1000)
            row = employee_row(COMPANY, number, first, last, HireDate=_stamp(self._yesterday()), udEmpTitle="Fitter")
            row["PRDept"] = department or home_office_departments(self.world)[0]
            row["Email"] = None if with_account else f"hire{number}@example.net"
            self._insert("bPREH", row | columns)
            if with_account:
                mail = f"hire{number}@{DOMAIN}"
                self.entra_add(employeeId=str(number), mail=mail, givenName=first, surname=last)
            if job is not None:
                self.move(number, job=job)
            return number

    def terminate(self, employee: int, date: date | str | None = None) -> None:
        """Set TermDate (the day before the world's today unless told) and ActiveYN `N`; the account stays."""
        self.update("bPREH", _person(employee), TermDate=_stamp(date or self._yesterday()), ActiveYN="N")

    def rehire(self, employee: int) -> None:
        """Move HireDate forward and clear TermDate, as Viewpoint does it."""
        hired = _stamp(self._yesterday())
        self.update("bPREH", _person(employee), HireDate=hired, TermDate=None, ActiveYN="Y")

    def move(self, employee: int, department: str | None = None, job: str | None = None) -> None:
        """Another department, and/or a timecard on a job, dated after all the employee's others."""
        with self.world.lock:
            if department is not None:
                self.update("bPREH", _person(employee), PRDept=department)
            if job is not None:
                self._work(employee, job)

    def add_department(self, code: str, description: str, region: str | None) -> None:
        """A new payroll department of company 1."""
        self._insert("bPRDP", world_jobs.department(COMPANY, code, description, region))

    def add_job(self, key: str, description: str, department: str) -> None:
        """A new job of company 1 with a contract of its own in that department."""
        with self.world.lock:
            self._insert("bJCCM", world_jobs.contract(COMPANY, key, description, department))
            self._insert("bJCJM", world_jobs.job(COMPANY, key, description, key))

    def update(self, table: str, key: Mapping[str, Any], **columns: Any) -> int:
        """Set columns in every row whose `key` columns agree; returns how many, KeyError when none."""
        with self.world.lock:
            rows = self._matching(table, key)
            if not rows:
                raise KeyError(f"{table} has no row with {dict(key)}")
            _known(table, columns)
            assignments = ", ".join(f'"{name}" = ?' for name in columns)
            self._execute(f'UPDATE "{table}" SET {assignments} WHERE {_where(key)}', [*columns.values(), *key.values()])
            for row in rows:
                row.update(columns)
            return len(rows)

    def delete_rows(self, table: str, where: Mapping[str, Any] | None = None) -> int:
        """Delete the rows whose columns agree with `where`, all of the table without one; returns how many."""
        with self.world.lock:
            gone = {id(row) for row in self._matching(table, where or {})}
            self._execute(f'DELETE FROM "{table}" WHERE {_where(where or {})}', [*(where or {}).values()])
            rows = self.world.viewpoint[table]
            rows[:] = [row for row in rows if id(row) not in gone]
            return len(gone)

    def entra_update(self, user: str | int, **properties: Any) -> None:
        """Set properties of an account, named by id or by the number of its employee; `manager` is an id or None."""
        with self.world.lock:
            self._account(user).update(properties)

    def entra_add(self, **properties: Any) -> str:
        """Add an account; returns its id."""
        with self.world.lock:
            self._accounts_added += 1
            box = f"added{self._accounts_added}"
            row = account(dice(self.spec, box), box, None, None) | properties
            self.world.entra.append(row)
            return str(row["id"])

    def entra_remove(self, user: str | int) -> None:
        """Remove an account, named as for `entra_update`."""
        with self.world.lock:
            self.world.entra.remove(self._account(user))

    def samsara_update(self, id: str, **fields: Any) -> None:
        """Set fields of a vehicle or driver; None takes a field away, as Samsara leaves absent values out."""
        with self.world.lock:
            _, row = self._samsara(id)
            row.update(fields)
            for absent in [name for name, value in fields.items() if value is None]:
                del row[absent]

    def samsara_add(self, kind: str, **fields: Any) -> str:
        """Add one of `vehicles` or `drivers`; returns its id."""
        with self.world.lock:
            if kind not in ("vehicles", "drivers"):
                raise ValueError("kind is vehicles or drivers")
            rows = self.world.samsara_vehicles if kind == "vehicles" else self.world.samsara_drivers
            new_id = str(1 + max((int(row["id"]) for row in rows), default=1000))
            bare = {"id": new_id, "name": f"Added {new_id}", "createdAtTime": "2026-11-20T00:00:00Z"}
            rows.append((bare if kind == "vehicles" else driver(new_id, f"Added {new_id}")) | fields)
            return str(rows[-1]["id"])

    def samsara_remove(self, id: str) -> None:
        """A vehicle or driver that is listed no more."""
        with self.world.lock:
            rows, row = self._samsara(id)
            rows.remove(row)

    def _yesterday(self) -> date:
        return self.spec.today - timedelta(days=1)

    def _work(self, number: int, job: str) -> None:
        people = self._matching("bPREH", _person(number))
        if not people or not self._matching("bJCJM", {"JCCo": COMPANY, "Job": job}):
            raise KeyError(f"company {COMPANY} has no employee {number} or no job {job!r}")
        cards = self._matching("bPRTH", _person(number))
        latest = max((date.fromisoformat(card["PostDate"][:10]) for card in cards), default=self._yesterday())
        post = 1 + max((card["PostSeq"] for card in cards), default=0)
        card = timecard(people[0], latest + timedelta(days=1), job, post=post)
        self._insert("bPRTH", card)
        self._insert("bPRJC", payroll_interface(card))

    def _matching(self, table: str, where: Mapping[str, Any]) -> list[Row]:
        _known(table, where)
        return [r for r in self.world.viewpoint[table] if all(_same(r[name], value) for name, value in where.items())]

    def _insert(self, table: str, row: Row) -> None:
        with self.world.lock:
            rows = self.world.viewpoint[table]
            if "KeyID" in TABLES[table]:
                row = row | {"KeyID": 1 + max((other["KeyID"] for other in rows), default=0)}
            _known(table, row)
            places = ", ".join(f":{name}" for name in TABLES[table])
            self._execute(f'INSERT INTO "{table}" VALUES ({places})', row)
            rows.append(row)

    def _execute(self, statement: str, values: list[Any] | Row) -> None:
        with closing(sqlite3.connect(self._path, timeout=_WAIT)) as connection, connection:
            connection.execute(statement, values)

    def _account(self, user: str | int) -> Row:
        for row in self.world.entra:
            digits = (row["employeeId"] or "").strip()
            if row["id"] == user or (isinstance(user, int) and digits.isdigit() and int(digits) == user):
                return row
        raise KeyError(f"Entra has no account {user!r}")

    def _samsara(self, id: str) -> tuple[list[Row], Row]:
        for rows in (self.world.samsara_vehicles, self.world.samsara_drivers):
            for row in rows:
                if row["id"] == id:
                    return rows, row
        raise KeyError(f"Samsara has no vehicle or driver {id!r}")


ACTIONS = tuple(
    name for name, value in vars(Sources).items() if callable(value) and not name.startswith("_") and name != "apply"
)


def _person(number: int) -> dict[str, int]:
    return {"PRCo": COMPANY, "Employee": number}


def _stamp(day: date | str) -> str:
    return f"{date.fromisoformat(day) if isinstance(day, str) else day} 00:00:00"


def _same(stored: Any, asked: Any) -> bool:
    """Equal as the database compares: trailing blanks do not count."""
    if isinstance(stored, str) and isinstance(asked, str):
        return stored.rstrip(" ") == asked.rstrip(" ")
    return bool(stored == asked)


def _known(table: str, columns: Mapping[str, Any]) -> None:
    if table not in TABLES:
        raise ValueError(f"there is no table {table!r}; the tables are {', '.join(TABLES)}")
    if unknown := sorted(set(columns) - set(TABLES[table])):
        raise ValueError(f"{table} has no column {', '.join(unknown)}")


def _where(columns: Mapping[str, Any]) -> str:
    return " AND ".join(f'"{name}" IS ?' for name in columns) or "TRUE"
