"""What an employee's row is joined with before it is mapped: the Entra account, the home site, the role."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from safetyamp_pipelines.sync.entities import shared as employment
from safetyamp_pipelines.sync.home_sites import HomeSites
from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.snapshot import Record

ENTRA = "entra/users"
RECENT_JOBS = "viewpoint/recent_jobs"


def join_entra(frame: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """Add `entra/users.*` columns by employee number; leading zeros and blanks in `employeeId` do not matter."""
    accounts: dict[str, list[Record]] = defaultdict(list)
    for account in inputs.snapshot(ENTRA).records:
        number = clean.number(account.get("employeeId") or "", "")
        if number is not None and account.get("userType") != "Guest":
            accounts[number].append(account)
    chosen = {number: _one_account(found) for number, found in accounts.items()}
    rows = [chosen.get(str(number)) or {} for number in frame["rule.number"]]
    reads: dict[str, Callable[[Record], object]] = {
        "mail": lambda account: account.get("mail"),
        "mobilePhone": lambda account: account.get("mobilePhone"),
        "businessPhones": lambda account: next(iter(account.get("businessPhones") or ()), None),
        "manager": lambda account: (account.get("manager") or {}).get("employeeId"),
    }
    return _with(frame, {f"{ENTRA}.{name}": [read(row) for row in rows] for name, read in reads.items()})


def _one_account(found: Sequence[Record]) -> Record | None:
    """`employeeId` is not unique in Entra. Of several accounts the only one with a mailbox counts; with two
    mailboxes it is unknown whose is whose, so none does."""
    if len(found) == 1:
        return found[0]
    with_mailbox = [account for account in found if _mailbox(account)]
    mailboxes = {_mailbox(account) for account in with_mailbox}
    if len(mailboxes) > 1:
        return None
    return min(with_mailbox or found, key=lambda account: str(account.get("id")))


def _mailbox(account: Record) -> str | None:
    try:
        return clean.email(account.get("mail") or "", "")
    except clean.Unclean:
        return None


def with_home_site(frame: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """Add `rule.home_site`: the site of the latest open job worked, else the department's home office."""
    sites = HomeSites(inputs.expected)
    latest = {
        (job["PRCo"], clean.number(job["Employee"], "")): clean.key(job["Job"], "")
        for job in inputs.snapshot(RECENT_JOBS).records
    }
    homes: list[str | None] = []
    whys: list[str] = []
    keys = ("PRCo", "PRDept")
    columns = [frame[f"{employment.SOURCE}.{key}"] for key in keys]
    for company, department, number in zip(*columns, frame["rule.number"], strict=True):
        job = latest.get((company, number))
        code = clean.text(department, "") if department is not None else None
        homes.append(sites.of_job(job) or sites.home_office(code))
        worked = f"job {job} has no site" if job else "no timecard on an open job"
        office = f"department {code} has no home office in SafetyAmp" if code else "no department is given"
        whys.append(f"Home site: {worked}, and {office}")
    return _with(frame, {"rule.home_site": homes, "rule.home_site.why": whys})


def with_role(frame: pd.DataFrame, inputs: Inputs, default_role: str) -> pd.DataFrame:
    """Add `rule.role`: the configured role, else the one SafetyAmp marks as its default. Ids are tenant data."""
    roles = inputs.expected["roles"]
    marked = [str(row["name"]) for row in roles.rows.values() if row.get("account_default") == 1]
    role = default_role if roles.id_of(default_role) is not None or not marked else min(marked)
    return _with(frame, {"rule.role": [role] * len(frame)})


def _with(frame: pd.DataFrame, columns: Mapping[str, Sequence[object]]) -> pd.DataFrame:
    """The frame with object columns added; None stays None."""
    added = {name: pd.Series(list(values), index=frame.index, dtype=object) for name, values in columns.items()}
    return pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)
