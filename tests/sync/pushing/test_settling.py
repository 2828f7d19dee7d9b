"""Lost answers: what a row proves, what silence does not, and what stays open as long as it may still arrive."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from small_worlds import asset, site, title, user

from safetyamp_pipelines.sync.entities import employees, titles, vehicles
from safetyamp_pipelines.sync.entities.registry import references
from safetyamp_pipelines.sync.model.plan import Action
from safetyamp_pipelines.sync.model.remembered import Intent
from safetyamp_pipelines.sync.model.tables import Id
from safetyamp_pipelines.sync.pushing.settling import is_as_written, settle
from safetyamp_pipelines.sync.pushing.sight import Names

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
REFERENCES = references({"sites": [site(20, "Yard", 2, "YARD")], "users": [user("u1", "1"), user("u2", "2")]})
NAMES = Names(REFERENCES, {}, since=AT)


@dataclass
class Book:
    """As much of a journal as settling writes to."""

    known: dict[str, Id] = field(default_factory=dict)
    answers: dict[int, Id | None] = field(default_factory=dict)
    pushed: dict[int, Any] = field(default_factory=dict)

    def linked(self, table: str) -> list[Any]:
        return self.links()

    def links(self) -> list[Any]:
        return [SimpleNamespace(source_key=key, target_id=target_id) for key, target_id in self.known.items()]

    def done(self, intent: int, target_id: Id, pushed: Any, *_: Any) -> None:
        self.answers[intent] = target_id
        self.pushed[intent] = pushed
        self.known[f"of {intent}"] = target_id

    def undone(self, intent: int, rule: str) -> None:
        self.answers[intent] = None


def intent(number: int, key: str, after: dict[str, Any]) -> Intent:
    fields = {name: (None, value) for name, value in after.items()}
    return Intent(Action.CREATE, key, key, None, fields, "new", "hash", id=number, intended_at=AT)


def create(number: int, name: str) -> Intent:
    return intent(number, name, {"name": name})


def settled(intents: list[Intent], over: set[int]) -> tuple[dict[int, Id | None], dict[int, Id | None]]:
    book, rows = Book(), {30: title(30, "Welder")}
    return settle(titles.SPEC, book, intents, rows, NAMES, over), book.answers  # type: ignore[arg-type]


def test_what_a_read_shows_is_done_whenever_it_was_read() -> None:
    assert settled([create(1, "WELDER ")], over=set()) == ({1: 30}, {1: 30})


def test_what_a_read_does_not_show_is_not_done_once_nothing_can_arrive_any_more() -> None:
    assert settled([create(1, "Fitter")], over={1}) == ({1: None}, {1: None})


def test_what_a_read_does_not_show_stays_open_as_long_as_it_may_arrive() -> None:
    assert settled([create(1, "Fitter"), create(2, "Welder")], over=set()) == ({2: 30}, {2: 30})


def lost_trucks(rows: list[dict[str, Any]], *lost: dict[str, Any], known: dict[str, Id]) -> dict[int, Id | None]:
    """What becomes of creates of vehicles that were lost for good, by number."""
    intents = [intent(n, f"v{n}", after) for n, after in enumerate(lost, 1)]
    book = Book(known)
    settle(vehicles.SPEC, book, intents, {row["id"]: row for row in rows}, NAMES, over={1, 2})  # type: ignore[arg-type]
    return book.answers


def test_a_create_is_never_taken_for_the_record_of_somebody_else() -> None:
    """A licence plate may stand twice: the truck that has it already is another one."""
    other = asset(40, serial="VIN1", code="ABC")

    assert lost_trucks([other], {"name": "Crane", "code": "ABC"}, known={"v9": 40}) == {1: None}
    assert lost_trucks([other], {"name": "Crane", "code": "ABC"}, known={}) == {1: 40}


def test_a_create_without_any_key_is_known_by_all_that_it_wrote_and_each_row_by_one() -> None:
    truck = {"name": "Truck", "status": 1, "site_id": "YARD"}
    rows = [asset(40, site_id=20), asset(41, name="Crane", site_id=20), asset(42, site_id=20)]

    assert lost_trucks(rows, truck, truck, known={"v9": 40}) == {1: 42, 2: None}


@pytest.mark.parametrize(
    ("after", "proven"),
    [
        ({"city": "Houma"}, True),
        ({"city": "Houma", "home_site_id": "YARD"}, True),
        ({"city": "Elsewhere"}, False),
        ({"city": "Houma", "home_site_id": "nowhere"}, False),
        ({"city": "Houma", "current_supervisor_id": "2"}, True),
        ({"current_supervisor_id": "2"}, False),
    ],
)
def test_a_row_proves_an_update_by_the_fields_it_shows_and_by_nothing_else(after: dict[str, str], proven: bool) -> None:
    row = user("u1", "1", city="Houma", home_site_id=20)
    assert "current_supervisor_id" not in row

    assert is_as_written(employees.SPEC, row, after, NAMES) is proven


@pytest.mark.parametrize(
    ("action", "after", "remembered"),
    [
        (Action.UPDATE, {"city": "Houma"}, {"city": "Houma"}),
        (Action.UPDATE, {"city": "Houma", "first_name": "Ida"}, {"city": "Houma"}),
        (Action.UPDATE, {"city": "Elsewhere", "first_name": "Ida"}, None),
        (Action.DEACTIVATE, {"system_access": 0, "city": "Houma"}, None),
        (Action.REACTIVATE, {"system_access": 1, "city": "Elsewhere"}, {"system_access": 1}),
    ],
)
def test_one_field_that_was_taken_proves_an_update_and_access_alone_a_change_of_access(
    action: Action, after: dict[str, Any], remembered: dict[str, Any] | None
) -> None:
    """SafetyAmp ignores in silence what it does not take: the others are not remembered as pushed."""
    row = user("u1", "1", city="Houma", system_access=True)
    lost = replace(intent(1, "1", after), action=action, target_id="u1")
    book = Book()

    settle(employees.SPEC, book, [lost], {"u1": row}, NAMES, over={1})  # type: ignore[arg-type]

    assert book.answers == {1: "u1" if remembered else None}
    assert book.pushed.get(1) == remembered
