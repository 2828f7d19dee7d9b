"""Entra accounts of employees, services, guests and contractors; what goes wrong in them is in world_contacts.py."""

from __future__ import annotations

import random
import uuid
from typing import Any

from safetyamp_pipelines.sandbox import people
from safetyamp_pipelines.sandbox.world_model import Draft, Row

DOMAIN = "example.com"
TENANT_DOMAIN = "example.onmicrosoft.com"
OFFICE_LINES = 120_000  # where the office numbers begin in the telephone book, far from anybody's own


def account(dice: random.Random, box: str, employee_id: str | None, mail: str | None, **properties: Any) -> Row:
    """A Graph user with every property the sandbox knows; `manager` is the id of another user or None."""
    row: Row = {
        **dict.fromkeys(("givenName", "surname", "jobTitle", "department", "companyName", "mobilePhone", "manager")),
        **dict.fromkeys(("officeLocation", "preferredLanguage", "employeeHireDate", "onPremisesSyncEnabled")),
        "id": str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        "employeeId": employee_id,
        "accountEnabled": True,
        "displayName": box,
        "mail": mail,
        "userPrincipalName": f"{box}@{DOMAIN}",
        "otherMails": [],
        "proxyAddresses": [f"SMTP:{mail}", f"smtp:{box}@{TENANT_DOMAIN}"] if mail else [],
        "businessPhones": [],
        "userType": "Member",
    }
    return row | properties


def add_accounts(draft: Draft) -> None:
    """Accounts for four employees in five, their managers, and accounts that belong to no employee."""
    dice = draft.dice("accounts")
    for i, row in enumerate(draft.people):
        if dice.random() < 0.8:
            draft.accounts[row["Employee"]] = added = _account_of(dice, row, i)
            draft.world.entra.append(added)
            row["Email"] = row["Email"] if dice.random() < 0.4 else None
    _add_managers(draft)
    if draft.spec.mess:
        _disable_leavers(draft)
        _add_strangers(draft)


def international(number: str) -> str:
    """`504-555-0100` as people type it into Entra: `+1 504 555 0100`."""
    return "+1 " + number.replace("-", " ")


def _account_of(dice: random.Random, employee: Row, i: int) -> Row:
    box = employee["Email"].partition("@")[0]
    cell = employee["CellPhone"]
    return account(
        dice,
        box,
        str(employee["Employee"]),
        f"{box}@{DOMAIN}",
        givenName=employee["FirstName"],
        surname=employee["LastName"],
        displayName=f"{employee['FirstName']} {employee['LastName']}",
        jobTitle=employee["udEmpTitle"],
        department=employee["PRDept"],
        mobilePhone=international(cell) if cell and dice.random() < 0.5 else None,
        businessPhones=[people.telephone(OFFICE_LINES + i)] if dice.random() < 0.2 else [],
        onPremisesSyncEnabled=dice.choice((True, None)),
    )


def _add_managers(draft: Draft) -> None:
    """The first account of each department leads it; the leaders report to the first account of all."""
    leaders: dict[str, Row] = {}
    for row in draft.people:
        added = draft.accounts.get(row["Employee"])
        if added is not None and draft.is_clean(row):
            leaders.setdefault(row["PRDept"], added)
    top = next(iter(leaders.values()), None)
    for row in draft.people:
        added, leader = draft.accounts.get(row["Employee"]), leaders.get(row["PRDept"])
        if added is None or leader is None or top is None or added is top:
            continue
        added["manager"] = top["id"] if added is leader else leader["id"]


def _disable_leavers(draft: Draft) -> None:
    dice = draft.dice("leavers' accounts")
    for number in draft.world.noted("terminated_past"):
        if number in draft.accounts:
            draft.accounts[number]["accountEnabled"] = dice.random() < 0.3


def _add_strangers(draft: Draft) -> None:
    dice, entra = draft.dice("strangers"), draft.world.entra
    for i in range(draft.count(0.01, at_least=3)):
        mail = (None, f"svc{i}@{TENANT_DOMAIN}", f"svc{i}@{DOMAIN}")[i % 3]
        entra.append(account(dice, f"svc{i}", None, mail, userPrincipalName=f"svc{i}@{TENANT_DOMAIN}"))
        draft.note("service_accounts", entra[-1]["id"])
    for i in range(draft.count(0.005)):
        mail = f"guest{i}@example.org"
        principal = f"guest{i}_example.org#EXT#@{TENANT_DOMAIN}"
        entra.append(account(dice, f"guest{i}", None, mail, userType="Guest", userPrincipalName=principal))
        draft.note("guest_accounts", entra[-1]["id"])
    for i in range(draft.count(0.01, at_least=2)):
        entra.append(account(dice, f"contractor{i}", ("C-77", "900001")[i % 2], f"contractor{i}@{DOMAIN}"))
        draft.note("accounts_of_no_employee", entra[-1]["id"])
