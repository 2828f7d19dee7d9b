"""What becomes of employees: users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from oracle.book import Book, Row, Token
from oracle.cleaning import OneOf, day, email, key, number, telephone, text
from oracle.places import Links, address, stand_in
from oracle.verdicts import Verdicts

_GENDER = {"F": 0, "M": 1}


@dataclass
class Places:
    """Where people can be at home."""

    sites: Links
    regions: Links
    region_by_department: Mapping[str, str]
    titles: Links


@dataclass
class Remembered:
    """What earlier runs know of people: their accounts, and who was active then."""

    links: dict[str, Token] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)


def is_active(row: Row, today: str) -> bool:
    """Hire date set and no termination date, or a future one."""
    term = day(row["TermDate"])
    return row["HireDate"] is not None and (term is None or term > today)


def latest_jobs(timecards: list[Row], job_rows: list[Row], companies: list[int], statuses: list[int]) -> dict[int, str]:
    """Employee → the open job worked last, by date, then by key."""
    is_open = {(row["JCCo"], key(row["Job"])) for row in job_rows if row["JobStatus"] in statuses}
    latest: dict[int, tuple[str, str]] = {}
    for card in timecards:
        worked = (str(card["PostDate"]), key(card["Job"]))
        if card["JCCo"] in companies and (card["JCCo"], worked[1]) in is_open:
            latest[card["Employee"]] = max(worked, latest.get(card["Employee"], worked))
    return {employee: job for employee, (_, job) in latest.items()}


class Directory:
    """Entra accounts by employee number.

    Choices: a disabled account does not count, nobody reads its mailbox; of several accounts of one employee the first
    that has a usable value gives it.
    """

    def __init__(self, accounts: list[Row]) -> None:
        self._all = {row["id"]: row for row in accounts}
        self._by_number: dict[int, list[Row]] = {}
        for row in accounts:
            if row["accountEnabled"] is not False and (employee := number(row["employeeId"])) is not None:
                self._by_number.setdefault(employee, []).append(row)

    def values(self, employee: int, name: str) -> list[Any]:
        """The values of a property over the employee's accounts, the first item of a list."""
        found = [row[name] for row in self._by_number.get(employee, [])]
        return [(value[0] if value else None) if isinstance(value, list) else value for value in found]

    def manager(self, employee: int) -> int | None:
        """The number of the employee's manager."""
        managers = [self._all.get(row["manager"]) for row in self._by_number.get(employee, [])]
        return next((found for row in managers if row and (found := number(row["employeeId"])) is not None), None)


class People:
    """Works out the users, one step a method."""

    def __init__(
        self,
        book: Book,
        places: Places,
        rules: Mapping[str, Any],
        remembered: Remembered,
        reserved_emails: Collection[str] = (),
    ) -> None:
        self._book, self._places, self._rules, self._remembered = book, places, rules, remembered
        self._reserved = reserved_emails
        self.verdicts = Verdicts()
        self.tokens: dict[int, Token] = {}
        self._written: list[int] = []

    def sync(self, rows: list[Row], directory: Directory, latest: Mapping[int, str], today: str) -> None:
        """Fill the book with what users should be."""
        self.verdicts.records = len(rows)
        leavers = [row for row in rows if not is_active(row, today)]
        active = [row for row in rows if is_active(row, today)]
        for row in leavers:
            self._leave(row, today)
        wanted = {row["Employee"]: self._wanted(row, directory, latest) for row in active}
        matched = {employee: self._match(employee, fields) for employee, fields in wanted.items()}
        self._settle_emails(wanted, matched)
        self._settle_mobiles(wanted, matched)
        for employee in list(wanted):
            fields = wanted[employee]
            needed = ("first_name", "last_name", "email", "home_site_id")
            if any(fields[name] is None for name in needed):
                self.verdicts.reject(str(employee))
            elif fields["email"] in self._reserved:
                # Nobody can see who holds it: SafetyAmp refuses the record, and it stays as it is.
                self.verdicts.failed.add(str(employee))
            else:
                self._write(employee, fields, matched[employee])
                continue
            if matched[employee] is not None:
                self.tokens[employee] = matched[employee]
        self._supervise(directory)

    def _supervise(self, directory: Directory) -> None:
        """The supervisor where known: a manager who is an employee and has an account, be it new or in need of a link.

        Choice: a manager whose own record is rejected still counts when the account exists.
        """
        for employee in self._written:
            boss = self.tokens.get(directory.manager(employee) or -1)
            self._book.set("users", self.tokens[employee], current_supervisor_id=boss)

    def _leave(self, row: Row, today: str) -> None:
        """Only the access goes off, whatever else is wrong with the record.

        Choice: somebody without a hire date who never left is out of scope, and the account is left alone.
        """
        employee = str(row["Employee"])
        self.verdicts.out_of_scope.add(employee)
        token = self._match(row["Employee"], {"email": None})
        if token is not None:
            self.tokens[row["Employee"]] = token
            if row["TermDate"] is not None and (day(row["TermDate"]) or "") <= today:
                self._book.set("users", token, system_access=False)
        self._remembered.active.discard(employee)

    def _wanted(self, row: Row, directory: Directory, latest: Mapping[int, str]) -> Row:
        employee = row["Employee"]
        mobiles = [*directory.values(employee, "mobilePhone"), row["CellPhone"], row["Phone"]]
        mails = [*directory.values(employee, "mail"), row["Email"]]
        return {
            "emp_id": str(employee),
            "first_name": text(row["FirstName"]),
            "last_name": text(row["LastName"]),
            "middle_name": text(row["MidName"]),
            "email": next((usable for mail in mails if (usable := email(mail))), None),
            "gender": _GENDER.get(text(row["Sex"]) or ""),
            "date_of_birth": day(row["BirthDate"]),
            "current_hire_date": day(row["HireDate"]),
            "mobile_phone": telephone(mobiles),
            "work_phone": telephone([*directory.values(employee, "businessPhones"), row["Phone"]]),
            **address(row),
            "home_site_id": self._home(latest.get(employee), key(row["PRDept"])),
            "current_title_id": self._places.titles.get((text(row["udEmpTitle"]) or "").casefold()),
        }

    def _home(self, job: str | None, department: str) -> Token | None:
        """The latest open job's site, else the home office of the department.

        Choices: a job without a site (a rejected one) leads to the home office; a site that SafetyAmp already has under
        the code of a rejected job will do; of several home offices any may be taken.
        """
        if job is not None:
            found = [self._places.sites[job]] if job in self._places.sites else self._book.find("sites", ext_id=job)
            if found:
                return found[0]
        region = self._places.region_by_department.get(department)
        cluster = self._places.regions.get(region or "")
        offices = [] if cluster is None else self._book.find("sites", cluster_id=cluster)
        return OneOf(*offices) if len(offices) > 1 else next(iter(offices), None)

    def _match(self, employee: int, fields: Row) -> Token | None:
        """Match on link, emp_id, then e-mail for an account without emp_id."""
        if str(employee) in self._remembered.links:
            return self._remembered.links[str(employee)]
        found = self._book.find("users", emp_id=str(employee))
        if not found and fields["email"] is not None:
            found = self._book.find("users", emp_id=None, email=fields["email"])
        return found[0] if found else None

    def _settle_emails(self, wanted: dict[int, Row], matched: dict[int, Token | None]) -> None:
        """The holder of an address keeps it; another who wants it is rejected; without a holder all are.

        Choice: an account without emp_id that two people could claim by e-mail is nobody's, so both are rejected.
        """
        wishes = Counter(fields["email"] for fields in wanted.values() if fields["email"])
        claims = Counter(token for token in matched.values() if token is not None)
        for employee, fields in wanted.items():
            holders = self._book.find("users", email=fields["email"]) if fields["email"] else []
            mine = matched[employee] is not None and claims[matched[employee]] == 1
            taken = holders != [matched[employee]] or not mine if holders else wishes[fields["email"]] > 1
            if fields["email"] and taken:
                fields["email"] = None
                if not mine:
                    self.verdicts.reject(str(employee))

    def _settle_mobiles(self, wanted: dict[int, Row], matched: dict[int, Token | None]) -> None:
        """A clashing number is omitted.

        Choice: whoever has it in SafetyAmp already keeps it; among people who do not, nobody gets it.
        """
        fit = {e: f for e, f in wanted.items() if all(f[n] for n in ("first_name", "last_name", "email"))}
        wishes = Counter(f["mobile_phone"] for f in fit.values() if isinstance(f["mobile_phone"], str))
        before = {token: row["mobile_phone"] for token, row in self._book.rows["users"].items()}
        for employee, fields in wanted.items():
            mobile = fields["mobile_phone"]
            if not isinstance(mobile, str):
                continue
            holders = [token for token, held in before.items() if held == mobile]
            clash = matched[employee] not in holders if holders else wishes[mobile] > 1
            if clash:
                fields["mobile_phone"] = None

    def _write(self, employee: int, fields: Row, token: Token | None) -> None:
        """Create, or update what differs; switch on, or hold."""
        name = str(employee)
        if token is None:
            token = self._book.add("users", **fields, roles=[self._rules["default_role"]])
            self._book.set("users", token, timezone=self._rules["timezone"])
        else:
            was_on = self._book.rows["users"][token]["system_access"]
            self._book.set("users", token, **fields)
            if not was_on:
                self._switch_on(name, token)
        stand_in(self._book, "users", token, self._rules)
        self.tokens[employee] = self._remembered.links[name] = token
        self._written.append(employee)
        self._remembered.active.add(name)

    def _switch_on(self, name: str, token: Token) -> None:
        """Off although active: by hand after a history with us → held; else on."""
        if name in self._remembered.active:
            self.verdicts.held.add(name)
        elif self._rules["reactivate_without_history"]:
            self._book.set("users", token, system_access=True)
        else:
            self.verdicts.held.add(name)
