"""Whom and what the scenarios are about: everybody plays in one of them only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oracle.book import Row
from safetyamp_pipelines.sandbox import Sandbox

DOMAIN = "example.com"


class Cast:
    """Picks employees whom SafetyAmp knows already, and adds new ones; `about` names them for the tests."""

    def __init__(self, box: Sandbox) -> None:
        self.box, self.sources, self.safetyamp = box, box.sources, box.safetyamp
        self.about: dict[str, Any] = {}
        self._free = {int(user["emp_id"]): user for user in self.users() if (user["emp_id"] or "").isdigit()}

    def users(self) -> list[Row]:
        """SafetyAmp's users now."""
        return self.safetyamp.tables()["users"]

    def present(self, name: str, where: Callable[[Row], bool] = lambda _user: True) -> tuple[int, Row]:
        """An employee with a user in SafetyAmp that is as `where` wants it: number and user."""
        number = next(number for number, user in self._free.items() if where(user))
        user = self._free.pop(number)
        self.about[name] = {"number": number, "id": user["id"]}
        return number, user

    def hire(self, name: str, *, entra: Row | None = None, **columns: Any) -> int:
        """A new employee, without an account unless `entra` has its properties; e-mail after the name unless given."""
        first, last = columns.pop("first", name.capitalize()), columns.pop("last", "Scenario")
        columns = {"Email": None if entra else f"{name}@example.net", **columns}
        number = self.sources.hire(first, last, with_account=False, **columns)
        if entra is not None:
            account = {"employeeId": str(number), "mail": f"{name}@{DOMAIN}", **entra}
            self.about[f"{name} account"] = self.sources.entra_add(**account)
        self.about[name] = number
        return number

    def employee(self, number: int, **columns: Any) -> None:
        """Change columns of an employee."""
        self.sources.update("bPREH", {"PRCo": 1, "Employee": number}, **columns)

    def account(self, number: int, **properties: Any) -> None:
        """Change the employee's Entra account, if there is one."""
        try:
            self.sources.entra_update(number, **properties)
        except KeyError:
            return

    def row(self, number: int) -> Row:
        """The employee's row."""
        return next(r for r in self.box.world.viewpoint["bPREH"] if (r["PRCo"], r["Employee"]) == (1, number))

    def site(self, ext_id: str) -> Row:
        """A site of SafetyAmp now."""
        return next(row for row in self.safetyamp.tables()["sites"] if row["ext_id"] == ext_id)

    def number(self, name: str) -> int:
        """The number of somebody met before."""
        met = self.about[name]
        return int(met["number"] if isinstance(met, dict) else met)

    def id(self, name: str) -> Any:
        """The SafetyAmp id of somebody met before."""
        met = self.about[name]
        if isinstance(met, dict):
            return met["id"]
        return next(user["id"] for user in self.users() if user["emp_id"] == str(met))
