"""Who worked on which job when: timecards (bPRTH) and the payroll interface with its gaps (bPRJC)."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from safetyamp_pipelines.sandbox.viewpoint_schema import KEYS
from safetyamp_pipelines.sandbox.world_jobs import HARD_CLOSED, OPEN, SOFT_CLOSED, departments_by_job
from safetyamp_pipelines.sandbox.world_model import COMPANY, TEST_COMPANY, Draft, Row, World

MARKED_RATE = 98765.4321  # stands in every column of pay; a reader that shows it read what it must not


class Card(NamedTuple):
    """One day of one employee; `job` None is time in the shop."""

    days_ago: int
    job: str | None
    company: int = COMPANY


class Jobs(NamedTuple):
    """Job keys by what becomes of them: `fit` has a site, `closed` is over, `rejected` is open without a department."""

    fit: list[str]
    closed: list[str]
    rejected: list[str]


Pattern = Callable[[random.Random, Jobs], list[Card]]


def timecard(employee: Row, worked: date, job: str | None, *, company: int = COMPANY, post: int = 1) -> Row:
    """A timecard row (bPRTH) of eight hours; weeks end on Sunday."""
    return {
        "PRCo": employee["PRCo"],
        "PRGroup": 1,
        "PREndDate": f"{worked + timedelta(days=6 - worked.weekday())} 00:00:00",
        "Employee": employee["Employee"],
        "PaySeq": 1,
        "PostSeq": post,
        "Type": "J" if job else "S",
        "PostDate": f"{worked} 00:00:00",
        "JCCo": company if job else None,
        "Job": job,
        "PRDept": employee["PRDept"],
        "Hours": 8,
        "Rate": MARKED_RATE,
        "Amt": MARKED_RATE,
    }


def payroll_interface(card: Row) -> Row:
    """The row the payroll interface (bPRJC) makes of a timecard on a job."""
    same = {column: card[column] for column in (*KEYS["bPRJC"], "PostDate")}
    return {**same, "Mth": f"{card['PREndDate'][:7]}-01 00:00:00", "Hrs": card["Hours"], "Amt": MARKED_RATE}


def latest_open_jobs(world: World) -> dict[int, str]:
    """Employees of company 1 → the open job of company 1 they worked last, the greater key on a tie."""
    open_jobs = {r["Job"] for r in world.viewpoint["bJCJM"] if r["JCCo"] == COMPANY and r["JobStatus"] == OPEN}
    latest: dict[int, tuple[str, str]] = {}
    for card in world.viewpoint["bPRTH"]:
        key = (card["Job"] or "").rstrip()
        if card["PRCo"] == card["JCCo"] == COMPANY and key in open_jobs:
            newest = (card["PostDate"], key)
            latest[card["Employee"]] = max(newest, latest.get(card["Employee"], newest))
    return {employee: key for employee, (_, key) in latest.items()}


def add_timecards(draft: Draft) -> None:
    """Timecards for every employee after the pattern planted on them, then the payroll interface."""
    world = draft.world
    jobs, dice = _sorted_out(world), draft.dice("timecards")
    for employee in draft.people:
        pattern = draft.patterns.get(employee["Employee"], "plain")
        cards = PATTERNS[pattern](dice, jobs) if jobs.fit else []
        for post, card in enumerate(cards, start=1):
            worked = world.spec.today - timedelta(days=card.days_ago)
            world.viewpoint["bPRTH"].append(timecard(employee, worked, card.job, company=card.company, post=post))
        if cards:
            employee |= {"JCCo": COMPANY, "Job": next((card.job for card in cards if card.job), None)}
    _add_payroll_interface(draft)


def _sorted_out(world: World) -> Jobs:
    rows = [row for row in world.viewpoint["bJCJM"] if row["JCCo"] == COMPANY]
    fit = departments_by_job(world)
    closed = [row["Job"] for row in rows if row["JobStatus"] in (SOFT_CLOSED, HARD_CLOSED)]
    rejected = [r["Job"] for r in rows if r["JobStatus"] == OPEN and r["PCVisibleInJC"] == "Y" and r["Job"] not in fit]
    return Jobs(list(fit), closed, rejected)


def _add_payroll_interface(draft: Draft) -> None:
    """Rows for job time only; unlocking and purging took whole people and some last weeks away."""
    dice, rows = draft.dice("payroll interface"), draft.world.viewpoint["bPRJC"]
    employees = [row["Employee"] for row in draft.people]
    gone: set[int] = set()
    if draft.spec.mess and employees:
        gone = set(dice.sample(employees, draft.count(0.12)))
        draft.note("payroll_interface_gaps", *sorted(gone))
    rows.extend(payroll_interface(c) for c in draft.world.viewpoint["bPRTH"] if c["Job"] and c["Employee"] not in gone)


def _plain(dice: random.Random, jobs: Jobs) -> list[Card]:
    worked = dice.sample(jobs.fit, min(len(jobs.fit), dice.randint(1, 3)))
    cards = [Card(5 + 7 * week + dice.randint(0, 2), job) for week, job in enumerate(worked)]
    older = [Card(60 + dice.randint(0, 9), dice.choice(jobs.closed))] if jobs.closed and dice.random() < 0.3 else []
    return cards + older


def _only_closed(dice: random.Random, jobs: Jobs) -> list[Card]:
    return [Card(dice.randint(5, 9), dice.choice(jobs.closed))] if jobs.closed else []


def _tie(dice: random.Random, jobs: Jobs) -> list[Card]:
    return [Card(5, job) for job in sorted(dice.sample(jobs.fit, min(2, len(jobs.fit))), reverse=True)]


def _closed_last(dice: random.Random, jobs: Jobs) -> list[Card]:
    return [Card(6, dice.choice(jobs.closed or jobs.fit)), Card(13, dice.choice(jobs.fit))]


def _shop_last(dice: random.Random, jobs: Jobs) -> list[Card]:
    return [Card(4, None), Card(11, dice.choice(jobs.fit))]


def _test_company_last(dice: random.Random, jobs: Jobs) -> list[Card]:
    return [Card(4, dice.choice(jobs.fit), TEST_COMPANY), Card(11, dice.choice(jobs.fit))]


def _padded(dice: random.Random, jobs: Jobs) -> list[Card]:
    return [Card(5, dice.choice(jobs.fit) + "  ")]


def _rejected_last(dice: random.Random, jobs: Jobs) -> list[Card]:
    return [Card(5, dice.choice(jobs.rejected or jobs.fit)), Card(12, dice.choice(jobs.fit))]


def _nothing(_dice: random.Random, _jobs: Jobs) -> list[Card]:
    return []


PATTERNS: dict[str, Pattern] = {
    "plain": _plain,
    "only_closed": _only_closed,
    "tie": _tie,
    "closed_last": _closed_last,
    "shop_last": _shop_last,
    "test_company_last": _test_company_last,
    "padded": _padded,
    "rejected_last": _rejected_last,
    "nothing": _nothing,
}
