"""Employees of the payroll table and what goes wrong in their life and place of work; not in e-mails and phones."""

from __future__ import annotations

import random
from typing import Any

from safetyamp_pipelines.sandbox import people
from safetyamp_pipelines.sandbox.viewpoint_schema import MARKED
from safetyamp_pipelines.sandbox.world_jobs import UNKNOWN_DEPARTMENT, good_departments, region_of, regions
from safetyamp_pipelines.sandbox.world_model import COMPANY, Draft, Row, World
from safetyamp_pipelines.sandbox.world_timecards import MARKED_RATE

FUTURE = "2035-06-30 00:00:00"


def employee(company: int, number: int, first: str | None, last: str, **columns: Any) -> Row:
    """An employee row (bPREH) with every column; secret ones are filled with marked values."""
    row: Row = {
        **dict.fromkeys(("MidName", "Suffix", "Address", "Address2", "City", "State", "Zip", "Country", "Phone")),
        **dict.fromkeys(
            ("CellPhone", "Email", "BirthDate", "HireDate", "TermDate", "Craft", "JCCo", "Job", "udEmpTitle")
        ),
        "PRCo": company,
        "Employee": number,
        "FirstName": first,
        "LastName": last,
        "SortName": f"{last.upper()[:8]}{number}"[:15],
        "SSN": MARKED[:11],
        "Race": "ZZ",
        "Sex": "M",
        "PRGroup": 1,
        "PRDept": "",
        "InsCode": "NONE",
        "HrlyRate": MARKED_RATE,
        "BankAcct": MARKED,
        "ActiveYN": "Y",
        "AuditYN": "N",
    }
    return row | columns


def add_employees(draft: Draft) -> None:
    """`spec.employees` clean, active employees of company 1, all different in mailbox, phone and number."""
    dice, spec = draft.dice("people"), draft.spec
    planted = set(dice.sample(range(spec.employees), min(len(people.PLANTED_NAMES), spec.employees // 5)))
    names = iter(people.PLANTED_NAMES)
    codes, titles = good_departments(draft.world), people.titles(spec.title_count)
    number, boxes = 1000, set[str]()
    for i in range(spec.employees):
        number += dice.randint(1, 40)
        name = people.any_name(dice)
        first, last = next(names) if i in planted else (name.first, name.last)
        box = people.mailbox(first, last)
        box = box if box not in boxes else f"{box}{number}"
        boxes.add(box)
        row = employee(COMPANY, number, first, last, Sex=name.sex, PRDept=codes[i % len(codes)])
        row |= _private_life(dice, i, f"{box}@example.net") | {"udEmpTitle": titles[i % len(titles)]}
        draft.world.viewpoint["bPREH"].append(row)
        if i in planted:
            draft.note("special_names", number)


def plant_lives(draft: Draft) -> None:
    """Leavers, rehires, missing dates and places of work that lead nowhere; then odd timecards and odd texts."""
    if not draft.spec.mess:
        return
    _plant_leavers(draft)
    _plant_places(draft)
    for kind, pattern in _BENIGN_PATTERNS.items():
        draft.patterns |= {row["Employee"]: pattern for row in draft.sample(kind, "site")}
    _plant_texts(draft)


def home_office_departments(world: World) -> list[str]:
    """Codes of departments whose region has a home office."""
    housed = set(regions(world)[:-1] or regions(world))
    return [code for code in good_departments(world) if region_of(world, code) in housed]


def _private_life(dice: random.Random, i: int, email: str) -> Row:
    return {
        "MidName": dice.choice((None, None, "Lee", "J", "Marie")),
        "Suffix": "Jr" if dice.random() < 0.03 else None,
        "Address": people.street(dice),
        "City": dice.choice(people.CITIES),
        "State": dice.choice(people.STATES),
        "Zip": people.zip_code(dice),
        "Country": dice.choice((None, None, "US")),
        "Phone": people.telephone(2 * i) if dice.random() < 0.6 else None,
        "CellPhone": people.telephone(2 * i + 1) if dice.random() < 0.8 else None,
        "Email": email,
        "BirthDate": f"{dice.randint(1955, 2005)}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d} 00:00:00",
        "HireDate": f"{dice.randint(2000, 2025)}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d} 00:00:00",
        "JCCo": COMPANY,
    }


def _ended(row: Row, day: str) -> Row:
    """The dates of somebody who left on that day, and began before."""
    return {"TermDate": day, "HireDate": row["HireDate"] if row["HireDate"] < day else "2015-03-02 00:00:00"}


def _plant_leavers(draft: Draft) -> None:
    dice = draft.dice("leavers")
    for row in draft.take("terminated_past", 0.06, at_least=3):
        row |= {**_ended(row, draft.day(dice.randint(10, 900))), "ActiveYN": "N"}
    for row in draft.take("terminated_flag_active"):
        row |= _ended(row, draft.day(dice.randint(10, 300)))
    for row in draft.take("no_hire_date"):
        row["HireDate"] = None
    for row in draft.take("first_name_blank"):
        row["FirstName"] = dice.choice((None, "  "))
    for row in draft.sample("terminated_future", "life"):
        row["TermDate"] = FUTURE
    for row in draft.sample("active_flag_off_without_date", "life"):
        row["ActiveYN"] = "N"
    for row in draft.sample("hired_in_future", "life"):
        row["HireDate"] = FUTURE
    for row in draft.take("rehired"):
        row["HireDate"] = draft.day(dice.randint(5, 40))


def _plant_places(draft: Draft) -> None:
    world, dice = draft.world, draft.dice("places")
    housed = home_office_departments(world)
    unhoused = [code for code in good_departments(world) if code not in housed]
    homeless = world.noted("departments_without_region")
    for kind, codes in {
        "no_open_job_no_home_office": unhoused,
        "no_open_job_no_region": homeless,
        "no_open_job_unknown_department": [UNKNOWN_DEPARTMENT],
    }.items():
        for row in draft.take(kind) if codes else []:
            row["PRDept"] = dice.choice(codes)
            draft.patterns[row["Employee"]] = dice.choice(("only_closed", "nothing"))
    departmentless = world.noted("jobs_unknown_department") + world.noted("jobs_missing_contract")
    for row in draft.take("latest_job_rejected") if departmentless else []:
        draft.patterns[row["Employee"]] = "rejected_last"
    for row in draft.sample("home_office", "site", 0.02, at_least=2):
        row["PRDept"] = dice.choice(housed)
        draft.patterns[row["Employee"]] = dice.choice(("only_closed", "nothing"))
    for row in draft.sample("unknown_department_with_job", "site"):
        row["PRDept"] = UNKNOWN_DEPARTMENT


_BENIGN_PATTERNS = {
    "timecards_tie": "tie",
    "timecards_closed_last": "closed_last",
    "timecards_shop_last": "shop_last",
    "timecards_test_company_last": "test_company_last",
    "timecards_padded_job": "padded",
}


def _plant_texts(draft: Draft) -> None:
    dice = draft.dice("texts")
    for row in draft.sample("title_case_differs", "title", 0.02, at_least=2, where=_has_title):
        row["udEmpTitle"] = dice.choice((row["udEmpTitle"].upper(), row["udEmpTitle"].lower()))
    for row in draft.sample("title_missing", "title"):
        row["udEmpTitle"] = dice.choice((None, "   "))
    leavers = set(draft.world.noted("terminated_past")[:1])
    for row in [row for row in draft.people if row["Employee"] in leavers]:
        row["udEmpTitle"] = "Roustabout (retired)"
        draft.note("titles_of_leavers_only", row["udEmpTitle"])
    odd = ("01234", "01234-5678", "70000-", "99999-9999", "7000-1234")
    for row, text in zip(draft.sample("odd_zip", "zip", 0.02, at_least=len(odd)), odd * 999, strict=False):
        row["Zip"] = text
    for row in draft.sample("birth_date_missing", "birth"):
        row["BirthDate"] = None


def _has_title(row: Row) -> bool:
    return bool(row["udEmpTitle"])


def pad_texts(draft: Draft) -> None:
    """Trailing blanks in the shares seen in operation (445 of 1776 first names, …): the last step of a build."""
    if not draft.spec.mess:
        return
    shares = {"FirstName": 0.25, "LastName": 0.205, "City": 0.137, "State": 0.16, "udEmpTitle": 0.077, "Email": 0.03}
    for column, share in {**shares, "PRDept": 0.02}.items():
        filled = [row for row in draft.people if row[column]]
        chosen = draft.dice(f"pad {column}").sample(filled, min(len(filled), draft.count(share)))
        for row in chosen:
            row[column] += " "
        draft.note(f"padded_{column}", *sorted(row["Employee"] for row in chosen))
