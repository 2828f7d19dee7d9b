"""The push by itself, with a target and a journal in memory: signs of life, progress, the order of the book-keeping.
What it does to a real SafetyAmp and a real ledger is in tests/resources/test_pushing*.py.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from small_worlds import READ_AT, Refusal, company, employee, observed_in, plan_of, user

from safetyamp_pipelines.sync.entities.employees import SPEC
from safetyamp_pipelines.sync.entities.registry import references
from safetyamp_pipelines.sync.model.errors import NotSent, RecordRefused
from safetyamp_pipelines.sync.model.plan import Agreed, Change
from safetyamp_pipelines.sync.model.remembered import Intent, Link
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.tables import Id
from safetyamp_pipelines.sync.pushing.outcomes import Progress, PushOptions, PushResult, no_progress
from safetyamp_pipelines.sync.pushing.push import Push
from safetyamp_pipelines.sync.pushing.refusals import Explained

AT = datetime.fromisoformat(READ_AT)


@dataclass
class Book:
    """A journal that keeps what it is told, in order."""

    lines: list[tuple[str, Any]] = field(default_factory=list)
    beats: int = 0
    enough: threading.Event = field(default_factory=threading.Event)
    stop_after: int | None = None

    def open_intents(self) -> list[Intent]:
        return []

    def intend(self, change: Change) -> int:
        self.lines.append(("intend", change.source_key))
        return len(self.lines)

    def done(self, intent: int, target_id: Id, pushed: Mapping[str, Any], not_taken: Any, note: str) -> None:
        self.lines.append(("done", target_id))

    def refused(self, intent: int, change: Change, refusal: RecordRefused, explained: Explained) -> None:
        self.lines.append(("refused", change.source_key))

    def undone(self, intent: int, rule: str) -> None:
        self.lines.append(("undone", rule))

    def unsent(self, changes: Iterable[Change], outcome: str, rule: str) -> None:
        self.lines.append((str(outcome), [change.source_key for change in changes]))

    def agree(self, agreed: Iterable[Agreed]) -> None:
        self.lines.append(("agree", [found.source_key for found in agreed]))

    def revive(self, source_keys: Iterable[str]) -> None:
        self.lines.append(("revive", tuple(source_keys)))

    def linked(self, table: str) -> Iterable[Link]:
        return ()

    def links(self) -> Iterable[Link]:
        return ()

    def has_written_since(self, moment: datetime) -> bool:
        return False

    def beat(self) -> None:
        self.beats += 1
        if self.beats >= 5:
            self.enough.set()

    def interrupt_reason(self) -> str | None:
        return None

    def pause_reason(self) -> str | None:
        intended = sum(1 for kind, _ in self.lines if kind == "intend")
        return "paused by nora: audit" if self.stop_after is not None and intended >= self.stop_after else None


class Target:
    """SafetyAmp as far as these tests need it: it takes everything, or raises what it was given."""

    def __init__(self, book: Book, error: Exception | None = None, *, waits: bool = False) -> None:
        self.book, self.error, self.waits, self.reads = book, error, waits, 0

    def create(self, table: str, body: Mapping[str, Any]) -> Record:
        assert ("intend", body["emp_id"]) in self.book.lines
        if self.waits:
            assert self.book.enough.wait(300)
        if self.error is not None:
            raise self.error
        return {**body, "id": f"new{body['emp_id']}", "roles": body["roles"]}

    def update(self, table: str, target_id: Id, body: Mapping[str, Any]) -> Record:
        return {**body, "id": target_id}

    def read(self, table: str) -> tuple[Record, ...]:
        self.reads += 1
        if self.waits:
            assert self.book.enough.wait(300)
        return ()


def push(
    book: Book, target: Target, *numbers: int, progress: Progress = no_progress, age: float = 0, **options: Any
) -> PushResult:
    world = company(viewpoint__employees=[employee(number) for number in numbers])
    plan, observed = plan_of("employees", world), references(observed_in(world))
    now = datetime.fromisoformat(plan.as_of) + timedelta(seconds=age)
    return Push(SPEC, plan, target, book, observed, PushOptions(**options), progress, now=lambda: now).run()


def test_signs_of_life_go_on_while_answers_are_awaited() -> None:
    book = Book()

    result = push(book, Target(book, waits=True), 1, beat_every=0.01)

    assert book.beats >= 5
    assert result.counts() == {"created": 1}


def test_signs_of_life_go_on_while_the_table_is_read_again() -> None:
    book = Book()
    target = Target(book, waits=True)

    result = push(book, target, 1, beat_every=0.01, age=1000)

    assert (target.reads, result.counts()) == (1, {"created": 1})
    assert book.beats >= 5


def test_what_both_sides_share_is_remembered_first_and_every_intent_precedes_its_answer() -> None:
    book = Book()

    push(book, Target(book), 1, 2, in_flight=1)

    assert [kind for kind, _ in book.lines] == ["agree", "intend", "done", "intend", "done"]


def test_a_call_that_was_never_made_is_undone_and_the_others_go_on() -> None:
    book = Book()
    error = NotSent("SafetyAmp", "POST", "/api/users")

    result = push(book, Target(book, error), 1, 2, in_flight=1)

    assert result.counts() == {"not_attempted": 2}
    assert [kind for kind, _ in book.lines if kind != "agree"] == ["intend", "undone"] * 2
    assert result.has_failed()


def test_a_pause_leaves_the_rest_in_the_book_as_not_attempted() -> None:
    book = Book(stop_after=1)

    result = push(book, Target(book), 1, 2, 3, in_flight=1)

    assert [line for line in book.lines if line[0] == "not_attempted"] == [("not_attempted", ["2", "3"])]
    assert result.paused == "paused by nora: audit"
    assert result.counts() == {"created": 1, "not_attempted": 2}


def test_a_share_of_refusals_stops_the_entity_once_enough_were_answered() -> None:
    book = Book()
    refusal = RecordRefused("SafetyAmp", "POST", "/api/users", status=422, errors={"email": ["taken"]})

    result = push(book, Target(book, refusal), *range(1, 9), in_flight=1, refusals_share=0.5, refusals_share_after=3)

    assert result.stopped == "SafetyAmp refused 4 of 4 records"
    assert result.counts() == {"failed": 4, "not_attempted": 4}


@pytest.mark.parametrize(
    ("shown", "stopped", "counts"),
    [
        ({}, None, {"created": 5}),
        ({"city": "Nowhere"}, None, {"created": 5}),  # no field of ours
        (
            {"last_name": "Other"},
            "read back after the first 2 changes, 2 of 2 are not as they were written: 1, 2",
            {"created": 2, "not_attempted": 3},
        ),
        (
            None,
            "read back after the first 2 changes, 2 of 2 are not as they were written: 1, 2",
            {"created": 2, "not_attempted": 3},
        ),
    ],
)
def test_a_canary_is_read_back_before_the_rest(
    shown: dict[str, Any] | None, stopped: str | None, counts: dict[str, int]
) -> None:
    class Shop(Target):
        """What it shows of a record when it is read: all that was written, save what `shown` says; or nothing."""

        rows: tuple[Record, ...] = ()

        def create(self, table: str, body: Mapping[str, Any]) -> Record:
            answer = super().create(table, body)
            self.rows = (*self.rows, {**body, "id": answer["id"], **(shown or {})})
            return answer

        def read(self, table: str) -> tuple[Record, ...]:
            super().read(table)
            return () if shown is None else self.rows

    book = Book()
    target = Shop(book)

    result = push(book, target, 1, 2, 3, 4, 5, first=2)

    assert (result.stopped, result.counts(), target.reads) == (stopped, counts, 1)
    if stopped:
        assert result.verdicts[4].rule == f"stopped: {stopped}"
    few = Shop(Book())
    assert (push(few.book, few, 1, 2, first=2).counts(), few.reads) == ({"created": 2}, 0)


def test_a_canary_of_which_nothing_was_written_stops_the_rest() -> None:
    book = Book()
    refusal = RecordRefused("SafetyAmp", "POST", "/api/users", status=422, errors={"email": ["taken"]})

    result = push(book, Target(book, refusal), 1, 2, 3, first=2)

    assert result.stopped == "none of the first 2 changes ended as planned"
    assert result.counts() == {"failed": 2, "not_attempted": 1}


def test_a_refusal_that_names_a_part_of_an_optional_field_is_about_that_field() -> None:
    class Picky(Target):
        def create(self, table: str, body: Mapping[str, Any]) -> Record:
            if "roles" in body:
                texts = {"roles.0.id": ["The selected roles.0.id is invalid."]}
                raise RecordRefused("SafetyAmp", "POST", "/api/users", status=422, errors=texts)
            return {**body, "id": "new"}

    book = Book()

    result = push(book, Picky(book), 1)

    assert result.counts() == {"created": 1}
    assert [kind for kind, _ in book.lines if kind != "agree"] == ["intend", "refused", "intend", "done"]
    assert result.verdicts[0].notes[-1] == "left out, since SafetyAmp refused it: Role"


def test_a_name_of_a_refusal_that_is_no_field_is_not_repeated() -> None:
    texts = {"nora.test@example.com": ["no"], "Nora": ["no"], "nickname": ["no"]}
    refusal, kept = RecordRefused("SafetyAmp", "POST", "/api/users", status=422, errors=texts), []

    class Keeping(Book):
        def refused(self, intent: int, change: Change, refusal: RecordRefused, explained: Explained) -> None:
            kept.append((sorted(refusal.errors), sorted(explained.offences)))

    book = Keeping()
    result = push(book, Target(book, refusal), 1)

    assert kept == [(["another field", "nickname"], ["another field", "nickname"])]
    assert result.verdicts[0].rule == "SafetyAmp refused: another field, nickname"
    assert "nora" not in repr(result.verdicts).casefold()


def test_an_address_that_its_holder_did_not_give_up_after_all_is_not_asked_for() -> None:
    """The refusal would be remembered against the wrong person: only the holder's record has anything to mend."""

    class Stubborn(Target):
        def update(self, table: str, target_id: Id, body: Mapping[str, Any]) -> Record:
            if body["email"] != "Old@example.com":
                raise RecordRefused("SafetyAmp", "PATCH", "/api/users/{id}", status=422, errors={"email": ["no"]})
            return {"id": target_id, **body}

    people = [employee(1, Email="new@example.com"), employee(2, Email="old@example.com")]
    world = company(viewpoint__employees=people, users=[user("u1", "1", email="Old@example.com")])
    plan, book = plan_of("employees", world), Book()

    result = Push(SPEC, plan, Stubborn(book), book, references(observed_in(world)), now=lambda: AT).run()

    assert {verdict.source_key: str(verdict.outcome) for verdict in result.verdicts} == {"1": "updated", "2": "blocked"}
    assert result.verdicts[1].rule == (
        "E-mail is not free yet: the change of employee 1, who gives it up, is not confirmed"
    )
    assert [line for line in book.lines if line[0] == "intend"] == [("intend", "1"), ("intend", "1")]


def test_a_number_that_is_not_free_yet_keeps_nothing_else_of_a_person_from_being_written() -> None:
    class Deaf(Target):
        def update(self, table: str, target_id: Id, body: Mapping[str, Any]) -> Record:
            if target_id == "u1":
                raise NotSent("SafetyAmp", "PATCH", "/api/users/{id}")
            return super().update(table, target_id, body)

    people = [employee(1, CellPhone="504-234-5672"), employee(2, CellPhone="504-234-5671", City="Sampleton")]
    users = [user(f"u{n}", f"{n}", email=f"p{n}@example.com", mobile_phone=f"+1504234567{n}") for n in (1, 2)]
    world = company(viewpoint__employees=people, users=users)
    plan, book = plan_of("employees", world), Book()

    result = Push(SPEC, plan, Deaf(book), book, references(observed_in(world)), now=lambda: AT).run()

    assert {verdict.source_key: str(verdict.outcome) for verdict in result.verdicts} == {
        "1": "not_attempted",
        "2": "updated",
    }
    assert "Mobile phone is not free yet: the change of employee 1, who gives it up, is not confirmed" in (
        result.verdicts[1].notes
    )
    assert (result.rows["u2"]["city"], result.rows["u2"]["mobile_phone"]) == ("Sampleton", "+15042345672")
    assert [kind for kind, _ in book.lines if kind == "refused"] == []


def test_a_refusal_of_what_was_sent_without_a_number_that_was_not_free_stands_in_nobody_s_way_later() -> None:
    """SafetyAmp names no field here: nothing else shows that the whole change was never tried."""

    class Unfriendly(Target):
        def update(self, table: str, target_id: Id, body: Mapping[str, Any]) -> Record:
            if target_id == "u1":
                raise NotSent("SafetyAmp", "PATCH", "/api/users/{id}")
            raise RecordRefused("SafetyAmp", "PATCH", "/api/users/{id}", status=400, errors={})

    class Keeping(Book):
        def refused(self, intent: int, change: Change, refusal: RecordRefused, explained: Explained) -> None:
            failures[change.source_key] = Refusal(payload_hash=change.payload_hash, cause=explained.cause)

    failures: dict[str, Refusal] = {}
    people = [employee(1, CellPhone="504-234-5672"), employee(2, CellPhone="504-234-5671", City="Sampleton")]
    users = [user(f"u{n}", f"{n}", email=f"p{n}@example.com", mobile_phone=f"+1504234567{n}") for n in (1, 2)]
    world = company(viewpoint__employees=people, users=users)
    book = Keeping()
    Push(
        SPEC, plan_of("employees", world), Unfriendly(book), book, references(observed_in(world)), now=lambda: AT
    ).run()

    again = plan_of("employees", world, failures=failures)

    assert list(failures) == ["2"]
    assert [str(verdict.outcome) for verdict in again.verdicts] == ["updated", "updated"]


def test_progress_ends_at_the_number_of_changes_planned() -> None:
    seen: list[tuple[int, int]] = []
    book = Book()

    push(book, Target(book), 1, 2, 3, progress=lambda settled, planned: seen.append((settled, planned)))

    assert seen == [(1, 3), (2, 3), (3, 3)]
