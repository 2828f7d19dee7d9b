"""Employees become users: the fields, where each comes from, and who is in, out or switched off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field as Setting

from safetyamp_pipelines.sync.entities.shared import (
    EMPLOYEES,
    EMPLOYMENT,
    HomeSites,
    has_left,
    is_active,
    is_impossible,
    owners,
)
from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.columns import ADDRESS, AUDIT, OBSERVED, Kind, Presence, Schema, columns, keys
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.kinds import (
    DEFAULT_PHONE_REGION,
    CountryHere,
    EntityRules,
    PhoneRegion,
    StateHere,
    Text,
    TimeZoneHere,
)
from safetyamp_pipelines.sync.model.mapping import MappedRow, map_fields
from safetyamp_pipelines.sync.model.snapshot import Columns, Record
from safetyamp_pipelines.sync.model.spec import (
    Collision,
    Desired,
    EntitySpec,
    Field,
    MatchKey,
    Policy,
    Rows,
    Scope,
    Somebody,
    SourceKey,
    Trace,
)
from safetyamp_pipelines.sync.model.tables import Table, at_path

ENTRA = "entra/users"
RECENT_JOBS = "viewpoint/recent_jobs"
KEY = SourceKey(EMPLOYEES, "Employee", clean="number", company="PRCo", department="PRDept")
_TWICE = (
    "several accounts in Entra have this employee number: correct employeeId there; until then e-mail, telephones and "
    "supervisor stay as they are in SafetyAmp"
)
_EMPTIED = "E-mail stays as it is: the account in Entra has lost its mail; correct it there"
OPTIONS = ("timezone", "country", "default_state")


class EmployeesConfig(EntityRules):
    """Employees become users."""

    default_role: Text = Setting(default="Field", description="Name of the SafetyAmp role given to a new user.")
    timezone: TimeZoneHere = "America/Chicago"
    country: CountryHere = "US"
    default_state: StateHere = None
    reactivate_without_history: bool = Setting(
        default=True,
        description="An active employee whose account is off and whom this project never pushed: true switches "
        "the account on, false holds and reports it.",
    )
    default_phone_region: PhoneRegion = Setting(
        default=DEFAULT_PHONE_REGION,
        description="Region in which telephone numbers without a country code are read.",
    )
    hire_lead_days: Annotated[int, Setting(strict=True, ge=0)] | None = Setting(
        default=None,
        description="An employee is synced from this many days before HireDate; null: as soon as Viewpoint has one.",
    )
    last_day_worked: bool = Setting(
        default=False,
        description="Whether TermDate is the last day worked: true takes access off as the next day begins, false as "
        "TermDate begins. Days begin by the time zone of the person's site where SafetyAmp has one.",
    )
    protected_roles: tuple[Text, ...] = Setting(
        default=(),
        description="Accounts that have one of these SafetyAmp roles are never touched, also when the person leaves.",
    )

    @property
    def phone_region(self) -> str:
        """The region of sync.yaml."""
        return self.default_phone_region


def desire_employees(inputs: Inputs, rules: EmployeesConfig) -> list[Desired]:
    """One record per employee row of the configured companies, whoever they are."""
    rows = inputs.snapshot(EMPLOYEES).records
    numbers = [KEY.of(row) for row in rows]
    employment, homes = inputs.columns(EMPLOYEES, EMPLOYMENT), _home_sites(inputs, numbers)
    today = _today_at(inputs, homes["rule.home_site"])
    judged = [day - timedelta(days=rules.last_day_worked) for day in today]
    early = _is_early(employment, today, rules.hire_lead_days)
    left = has_left(employment, judged)
    active = [on and not soon for on, soon in zip(is_active(employment, judged), early, strict=True)]
    mapped = map_fields(
        {
            **inputs.columns(EMPLOYEES, _read_columns()),
            **_entra_columns(inputs, numbers),
            **homes,
            "rule.role": _roles(inputs, rules, rows),
            "rule.access": [1] * len(rows),
            **{f"sync.yaml.employees.{option}": [getattr(rules, option)] * len(rows) for option in OPTIONS},
            "sync.yaml.employees.timezone": [inputs.rules_of(row["PRCo"]).timezone or rules.timezone for row in rows],
        },
        FIELDS,
        rules.phone_region,
        SPEC.unknown(inputs.unread),
    )
    claims = [(number, int(row["PRCo"]), on) for number, row, on in zip(numbers, rows, active, strict=True)]
    owner = owners(claims, inputs.companies)
    rivals: dict[str, list[int]] = defaultdict(list)
    for number, company, on in claims:
        if on:
            rivals[number].append(company)
    return [
        _desired(row, claim, owner, rivals[claim[0]], _scope(row, claim[2], has_gone, soon), found)
        for row, claim, has_gone, soon, found in zip(rows, claims, left, early, mapped, strict=True)
    ]


def _today_at(inputs: Inputs, homes: Sequence[Any]) -> list[date]:
    """By row: the calendar day of the read at the person's site, else in the time zone of the company."""
    sites, days = inputs.expected["sites"], {"": inputs.today(EMPLOYEES)}
    names = [str(sites.rows.get(sites.id_of(home) or "", {}).get("timezone") or "") if home else "" for home in homes]
    for name in {*names} - {""}:
        try:
            days[name] = datetime.fromisoformat(inputs.as_of(EMPLOYEES)).astimezone(ZoneInfo(name)).date()
        except (ZoneInfoNotFoundError, ValueError, OSError):  # people can write anything into a site
            days[name] = days[""]
    return [days[name] for name in names]


def _is_early(employment: Columns, today: Sequence[date], lead: int | None) -> list[bool]:
    """By row: hired for a day that is further off than sync.yaml reaches ahead."""
    starts = clean.clean(employment[f"{EMPLOYEES}.HireDate"], "date").values
    if lead is None:
        return [False] * len(starts)
    ahead = [(day + timedelta(days=lead)).isoformat() for day in today]
    return [start is not None and start > until for start, until in zip(starts, ahead, strict=True)]


def _read_columns() -> list[str]:
    """The columns of the employees table that fields are read from."""
    prefix = f"{EMPLOYEES}."
    return sorted({s.removeprefix(prefix) for f in FIELDS for s in f.sources if s.startswith(prefix)})


def _desired(
    row: Record,
    claim: tuple[str, int, bool],
    owner: Mapping[str, int],
    rivals: list[int],
    judged: tuple[Scope, str],
    found: MappedRow,
) -> Desired:
    number, company, active = claim
    mine, email = owner[number] == company, found.values.get("email")
    if active and len(rivals) > 1:
        names = " and ".join(str(rival) for rival in sorted(rivals))
        found.reasons.append(f"employee number {number} is in companies {names}: one of them needs another number")
    scope, rule = judged
    department = row.get("PRDept")
    # Nothing is desired of an account whose person is not active.
    wanted = found if active else MappedRow(stand_ins=found.stand_ins, empty=found.empty)
    return wanted.desired(
        number if mine else f"{company}/{number}",
        number,
        match={"emp_id": (number,), "email": (str(email),) if email else ()} if mine else {},
        scope=scope,
        rule=rule,
        groups=(f"department {str(department).strip()}",) if department else (),
        rows=(row,),
    )


def _scope(row: Record, active: bool, left: bool, early: bool) -> tuple[Scope, str]:
    """Only who has left loses access. Without a hire date nobody is employed, but a date that got lost must not lock
    out somebody at work: the account stays as it is, and is reported."""
    if active:
        return Scope.ACTIVE, ""
    if left:
        return Scope.LEAVER, f"employment ended {clean.date(row['TermDate'], '')}"
    if is_impossible(*clean.clean([row.get("HireDate"), row.get("TermDate")], "date").values):
        return Scope.OUT, "TermDate in Viewpoint is in 1900 or before HireDate: correct it; the account stays as it is"
    if early:
        return Scope.OUT, "hired for a later day (employees.hire_lead_days of sync.yaml); an account stays as it is"
    return Scope.OUT, "no hire date in Viewpoint; the account, if any, stays as it is"


def _accounts(inputs: Inputs) -> dict[str, Record | None]:
    """Employee number → the Entra account; leading zeros and blanks in `employeeId` do not matter. None where several
    accounts have the number and it is unknown which is whose."""
    accounts: dict[str, list[Record]] = defaultdict(list)
    for account in inputs.snapshot(ENTRA).records:
        number = clean.number(account.get("employeeId") or "", "")
        if number is not None and account.get("userType") != "Guest":
            accounts[number].append(account)
    return {number: _one_account(found) for number, found in accounts.items()}


def _one_account(found: Sequence[Record]) -> Record | None:
    """`employeeId` is not unique in Entra. Of several accounts those with the one mailbox count; with two mailboxes, or
    none, it is unknown whose is whose, so none does."""
    if len(found) == 1:
        return found[0]
    with_mailbox = [account for account in found if _mailbox(account)]
    mailboxes = {_mailbox(account) for account in with_mailbox}
    return min(with_mailbox, key=lambda account: str(account.get("id"))) if len(mailboxes) == 1 else None


def _mailbox(account: Record) -> str | None:
    try:
        return clean.email(account.get("mail") or "", "")
    except clean.Unclean:
        return None


def _entra_columns(inputs: Inputs, numbers: Sequence[str]) -> Columns:
    """The `entra/users.*` columns of these employees, and where what Entra says is in doubt."""
    accounts = _accounts(inputs)
    rows = [_entra_row(accounts.get(number)) for number in numbers]
    doubts = [_TWICE if number in accounts and accounts[number] is None else None for number in numbers]
    found = {f"{ENTRA}.{name}": [row[name] for row in rows] for name in _entra_row(None)}
    found |= {f"{name}.unknown": list(doubts) for name in found}
    emptied = [_emptied(inputs, number, accounts.get(number)) for number in numbers]
    return {**found, f"{ENTRA}.mail.unknown": [doubt or gone for doubt, gone in zip(doubts, emptied, strict=True)]}


def _emptied(inputs: Inputs, number: str, account: Record | None) -> str | None:
    """Whether the account, which is there, has lost its mail although SafetyAmp was given an address before: who knows
    for how long. Viewpoint's address is not newer then."""
    link = inputs.memory.links.get(number)
    has_lost = account is not None and not account.get("mail") and link is not None and link.pushed.get("email")
    return _EMPTIED if has_lost else None


def _entra_row(account: Record | None) -> dict[str, Any]:
    """What is read of an account, each as one value."""
    found: Record = account or {}
    phones = found.get("businessPhones")
    return {
        "mail": found.get("mail"),
        "mobilePhone": found.get("mobilePhone"),
        "businessPhones": next(iter(phones), None) if isinstance(phones, list) else phones,
        "manager": at_path(found, "manager.employeeId"),
    }


def _home_sites(inputs: Inputs, numbers: Sequence[str]) -> Columns:
    """`rule.home_site`: the site of the latest open job worked, else the department's home office."""
    sites, latest = HomeSites(inputs.expected), _latest_jobs(inputs)
    homes: list[str | None] = []
    whys: list[str] = []
    for row, number in zip(inputs.snapshot(EMPLOYEES).records, numbers, strict=True):
        worked_on, department = latest.get((row["PRCo"], number), {}), row.get("PRDept")
        job = clean.key(worked_on.get("Job") or "", "")
        job = job and f"{inputs.rules_of(worked_on.get('JCCo')).job_prefix or ''}{job}"
        code = clean.text(department, "") if department is not None else None
        homes.append(sites.of_job(job) or sites.home_office(code))
        worked = f"job {job} has no site" if job else "no timecard on an open job"
        office = f"department {code} has no home office in SafetyAmp" if code else "no department is given"
        whys.append(f"Home site: {worked}, and {office}")
    return {"rule.home_site": list(homes), "rule.home_site.why": list(whys)}


def _latest_jobs(inputs: Inputs) -> dict[tuple[Any, str | None], Record]:
    """(company, employee number) → the row of the open job worked last."""
    rows = inputs.snapshot(RECENT_JOBS).records
    return {(row["PRCo"], clean.number(row["Employee"], "")): row for row in rows}


def _roles(inputs: Inputs, rules: EmployeesConfig, rows: Sequence[Record]) -> list[Any]:
    """By row: the configured role, else the one SafetyAmp marks as its default. Ids are tenant data."""
    roles = inputs.expected["roles"]
    marked = [str(row["name"]) for row in roles.rows.values() if row.get("account_default") == 1]
    wanted = [inputs.rules_of(row["PRCo"]).default_role or rules.default_role for row in rows]
    there = {name: name if roles.id_of(name) is not None or not marked else min(marked) for name in {*wanted}}
    return [there[name] for name in wanted]


def _beside(inputs: Inputs) -> Callable[[Desired], Rows]:
    """The Entra account and the job worked last, beside the employee's own row."""
    accounts, latest = _accounts(inputs), _latest_jobs(inputs)

    def rows(record: Desired) -> Rows:
        number = record.natural_key
        job = next((latest[place] for row in record.rows if (place := (row["PRCo"], number)) in latest), None)
        return {ENTRA: _entra_row(accounts.get(number)), **({RECENT_JOBS: job} if job is not None else {})}

    return rows


def _why_absent(inputs: Inputs, key: str) -> Iterator[str]:
    number = clean.number(key, "")
    accounts = inputs.snapshot(ENTRA).records
    found = sum(clean.number(account.get("employeeId") or "", "") == number for account in accounts)
    if found:
        yield f"Entra has {found} account(s) with this employeeId, but people are taken from Viewpoint only"


def _protected_by(row: Record, rules: EmployeesConfig) -> str | None:
    """The role of the account that sync.yaml protects, if it has one of them."""
    protected = {name.strip().casefold(): name for name in rules.protected_roles}
    held = row.get("roles") or ()
    roles = [held] if isinstance(held, Mapping) else held
    names = [str(role.get("name") or "").strip().casefold() for role in roles]
    found = next((protected[name] for name in names if name in protected), None)
    return None if found is None else f"has the role {found} (employees.protected_roles of sync.yaml)"


ROLES = Table(
    "roles",
    "Roles, which plans name and pushes look up,",
    Schema(
        (*keys(Kind.WHOLE, "id"), *columns(Kind.TEXT, "name"), *columns(Kind.FLAG, "account_default")),
        others=f"guard_name default_role_id scim_external_id {AUDIT}",
    ),
    lambda row, _tables: clean.text(row.get("name") or "", ""),
    fold_case=True,
)

USERS = Table(
    "users",
    "Users, active or not,",
    Schema(
        (
            *keys(Kind.TEXT, "id"),
            *columns(Kind.TEXT, "emp_id first_name middle_name last_name email mobile_phone work_phone"),
            *columns(Kind.TEXT, f"date_of_birth current_hire_date {ADDRESS}"),
            *columns(Kind.WHOLE, "gender home_site_id"),
            *columns(Kind.OBJECT, "current_title"),
            *columns(Kind.OBJECT, "current_supervisor", Presence.LOOSE),
            *columns(Kind.LIST, "roles"),
            *columns(Kind.FLAG, "system_access"),
        ),
        others=(
            "nickname rehire_date home_phone extension home_site current_department sites activated owner bypass_sso "
            "text_opt_out type avatar_location last_logged_in deleted_at"
        ),
    ),
    lambda row, _tables: clean.number(row.get("emp_id") or "", ""),
    update="PATCH",
    always=("first_name", "last_name", "email"),
)


def _personal(name: str, label: str, *sources: str, **options: object) -> Field:
    """A field read where it is written, whose values are a person's."""
    return Field(name, label, sources, name, personal=True, **options)  # type: ignore[arg-type]


FIELDS = (
    Field("emp_id", "Employee number", (f"{EMPLOYEES}.Employee",), "emp_id", clean="number", required=True),
    _personal("first_name", "First name", f"{EMPLOYEES}.FirstName", required=True, distinctive=True),
    _personal("middle_name", "Middle name", f"{EMPLOYEES}.MidName"),
    _personal("last_name", "Last name", f"{EMPLOYEES}.LastName", required=True, distinctive=True),
    _personal(
        "email",
        "E-mail",
        f"{ENTRA}.mail",
        f"{EMPLOYEES}.Email",
        clean="email",
        required=True,
        unique=Collision.REJECT,
        fold_case=True,
    ),
    _personal(
        "mobile_phone",
        "Mobile phone",
        f"{ENTRA}.mobilePhone",
        f"{EMPLOYEES}.CellPhone",
        f"{EMPLOYEES}.Phone",
        clean="phone",
        unique=Collision.OMIT,
    ),
    _personal("work_phone", "Work phone", f"{ENTRA}.businessPhones", f"{EMPLOYEES}.Phone", clean="phone"),
    _personal("gender", "Gender", f"{EMPLOYEES}.Sex", clean="gender"),
    _personal("date_of_birth", "Date of birth", f"{EMPLOYEES}.BirthDate", clean="date", distinctive=True),
    _personal("current_hire_date", "Hire date", f"{EMPLOYEES}.HireDate", clean="date"),
    _personal("street", "Street", f"{EMPLOYEES}.Address", distinctive=True),
    _personal("street2", "Street, second line", f"{EMPLOYEES}.Address2"),
    _personal("city", "City", f"{EMPLOYEES}.City"),
    _personal("state", "State", f"{EMPLOYEES}.State", "sync.yaml.employees.default_state", clean="state"),
    _personal("zip_code", "Zip code", f"{EMPLOYEES}.Zip", clean="zip_code"),
    _personal("country", "Country", f"{EMPLOYEES}.Country", "sync.yaml.employees.country"),
    _personal("timezone", "Time zone", "sync.yaml.employees.timezone", policy=Policy.INITIAL),
    Field("home_site_id", "Home site", ("rule.home_site",), "home_site_id", required=True, references="sites"),
    Field(
        "current_title_id",
        "Title",
        (f"{EMPLOYEES}.udEmpTitle",),
        "current_title.id",
        references="user_titles",
        personal=True,
    ),
    Field(
        "roles",
        "Role",
        ("rule.role",),
        "roles.id",
        references="roles",
        policy=Policy.INITIAL,
        as_list_of_ids=True,
    ),
    Field(
        "current_supervisor_id",
        "Supervisor",
        (f"{ENTRA}.manager",),
        "current_supervisor.id",
        clean="number",
        references="users",
        personal=True,
    ),
    Field("system_access", "Access", ("rule.access",), "system_access", clean="as_is"),
)


def _is_own_row(row: Record, who: Somebody, _rules: EmployeesConfig) -> bool:
    return who.has_number(row["Employee"]) and who.is_in_company(row["PRCo"])


SPEC = EntitySpec(
    name="employees",
    target=USERS,
    title="Users from employees",
    description="Active employees as SafetyAmp users, with e-mail from Entra; leavers lose access, nobody is deleted.",
    sources=(EMPLOYEES, RECENT_JOBS, ENTRA),
    observed=("site_clusters", "sites", "user_titles", "roles", "users"),
    after=("departments", "jobs", "titles"),
    fields=FIELDS,
    match=(
        MatchKey("emp_id", "emp_id", numeric=True),
        MatchKey("email", "email", fold_case=True, owner="emp_id", action="link"),
    ),
    key=KEY,
    rules=EmployeesConfig,
    desire=desire_employees,
    is_read_row_by_row=True,
    words={
        "rule.home_site": "the open job worked last, else the home office of the department",
        "rule.role": "employees.default_role of sync.yaml",
        "rule.access": "on while employed",
    },
    rests_on={
        "rule.home_site": (RECENT_JOBS, f"{OBSERVED}/site_clusters"),
        "rule.role": (f"{OBSERVED}/roles",),
    },
    reads=(ROLES,),
    beside=_beside,
    why_absent=_why_absent,
    traces=(
        Trace(
            "users",
            lambda row, who, _rules: who.has_number(row.get("emp_id")),
            is_person=True,
            number="emp_id",
            full_name=("first_name", "last_name"),
        ),
        Trace(
            ENTRA,
            lambda row, who, _rules: who.has_number(row.get("employeeId")),
            lambda row, _who, _rules: {name: row[name] for name in ("employeeId", "userType") if name in row},
            number="employeeId",
            full_name=("displayName",),
        ),
        Trace(EMPLOYEES, _is_own_row, full_name=("FirstName", "LastName")),
        Trace(RECENT_JOBS, _is_own_row),
    ),
    access="system_access",
    holds_switched_off=True,
    place="home_site_id",
    reactivates=lambda rules: rules.reactivate_without_history,
    protected_by=_protected_by,
)
