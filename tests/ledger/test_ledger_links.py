"""Links: one per source record, one per SafetyAmp record, with what was last pushed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ledger_entries import link

from safetyamp_pipelines.ledger import IntentUnsettled, Ledger
from safetyamp_pipelines.sync.model.plan import Agreed, Change
from safetyamp_pipelines.sync.model.remembered import Link
from safetyamp_pipelines.sync.model.tables import Id

Push = Callable[..., None]


@pytest.fixture
def push(ledger: Ledger, change: Callable[..., Change]) -> Push:
    """Writes a record to SafetyAmp: so much was pushed, and so much was not taken."""

    def done(
        entity: str, key: str, target_id: Id, pushed: dict[str, Any], not_taken: Any = None, natural_key: str = ""
    ) -> None:
        session = ledger.start_session("run", entity, "hash", {})
        sent = ledger.intend(session, change(source_key=key, natural_key=natural_key))
        ledger.answer(sent, "done", target_id=target_id, pushed=pushed, not_taken=not_taken)

    return done


def test_a_link_is_returned_whole(ledger: Ledger, push: Push) -> None:
    pushed = {"name": "24113. - Quay", "street": None}
    push("jobs", "1/24113.", 6001, pushed, {"zip": "h1"}, natural_key="24113.")

    assert ledger.links("jobs") == {
        "1/24113.": Link(
            source_key="1/24113.",
            target_id=6001,
            natural_key="24113.",
            pushed=pushed,
            not_taken={"zip": "h1"},
            updated_at=datetime(2026, 11, 20, 10, 0, tzinfo=UTC),
        )
    }
    assert ledger.links("employees") == {}


def test_a_later_push_is_merged_into_the_earlier_ones(ledger: Ledger, push: Push, clock) -> None:
    # given two fields that were pushed, and two that SafetyAmp did not take
    push("employees", "100482", "aB3dE", {"city": "A", "state": "LA"}, {"zip": "1", "fax": "2"})

    # when an update changes one of each, and SafetyAmp takes one at last
    clock.forward(hours=1)
    push("employees", "100482", "aB3dE", {"city": "B"}, {"zip": "3", "fax": None})

    # then the rest is still remembered
    link = ledger.links("employees")["100482"]
    assert link.pushed == {"city": "B", "state": "LA"}
    assert link.not_taken == {"zip": "3"}
    assert link.updated_at == datetime(2026, 11, 20, 11, 0, tzinfo=UTC)


def test_a_link_survives_a_rename(ledger: Ledger, push: Push) -> None:
    push("titles", "fitter", 77, {"name": "Fitter"}, natural_key="Fitter")
    push("titles", "fitter", 77, {"name": "Pipe Fitter"}, natural_key="Pipe Fitter")

    link = ledger.links("titles")["fitter"]
    assert (link.target_id, link.natural_key) == (77, "Pipe Fitter")


def test_another_safetyamp_record_starts_from_nothing(ledger: Ledger, push: Push) -> None:
    # given a record whose old counterpart was deleted in SafetyAmp
    push("employees", "100482", "aB3dE", {"city": "A", "state": "LA"}, {"zip": "1"})

    # when it was created anew
    push("employees", "100482", "xY9zZ", {"city": "A"})

    # then what was pushed to the old one is forgotten
    link = ledger.links("employees")["100482"]
    assert (link.target_id, link.pushed, link.not_taken) == ("xY9zZ", {"city": "A"}, {})


def test_a_safetyamp_record_has_one_source_record_the_last_that_claimed_it(ledger: Ledger, push: Push) -> None:
    # given a vehicle whose record in Samsara vanished, and one that has nothing to do with it
    push("vehicles", "281474", 9001, {"name": "Truck 1"}, {"year": "h"}, natural_key="VIN1")
    push("vehicles", "281475", 9002, {}, natural_key="VIN2")

    # when the same vehicle is entered anew, and a job has the same id in another table
    push("vehicles", "555555", 9001, {"name": "Truck 1b"}, natural_key="VIN1")
    push("jobs", "1/24113.", 9001, {}, natural_key="24113.")

    # then the new link replaces the old one and knows nothing of it
    links = ledger.links("vehicles")
    assert {key: link.target_id for key, link in links.items()} == {"555555": 9001, "281475": 9002}
    assert (links["555555"].pushed, links["555555"].not_taken) == ({"name": "Truck 1b"}, {})


def test_a_linked_record_can_claim_another(ledger: Ledger, push: Push) -> None:
    push("employees", "1", "aaaaa", {"city": "A"})
    push("employees", "2", "bbbbb", {"city": "B"})
    push("employees", "1", "bbbbb", {})

    assert {key: link.target_id for key, link in ledger.links("employees").items()} == {"1": "bbbbb"}


def test_a_wrong_link_is_forgotten_and_who_did_it_and_why_is_kept(ledger: Ledger, clock) -> None:
    link(ledger, "employees", "100482", "aB3dE", {"city": "A"})
    link(ledger, "jobs", "24113.", 7, {})

    unlinked = ledger.unlink("employees", "100482", "Kim", "two people were mixed up")

    assert unlinked is not None
    assert (unlinked.target_id, unlinked.who, unlinked.reason, unlinked.at) == (
        "aB3dE",
        "Kim",
        "two people were mixed up",
        clock.now,
    )
    assert ledger.links("employees") == {}
    assert ledger.unlink("employees", "100482", "Kim", "again") is None
    ledger.unlink("jobs", "24113.", "Lee", "wrong site")
    assert [(one.entity, one.target_id) for one in ledger.unlinked()] == [("jobs", 7), ("employees", "aB3dE")]
    assert ledger.unlinked("employees") == [unlinked]


def test_a_link_is_not_forgotten_while_a_call_for_the_record_has_no_answer(ledger: Ledger, session, change) -> None:
    link(ledger, "employees", "100482", "aB3dE", {})
    sent = ledger.intend(session, change(action="update", target_id="aB3dE"))

    with pytest.raises(IntentUnsettled, match="sync once, which settles it, then unlink"):
        ledger.unlink("employees", "100482", "Kim", "wrong")
    assert set(ledger.links("employees")) == {"100482"}

    ledger.answer(sent, "failed")
    assert ledger.unlink("employees", "100482", "Kim", "wrong") is not None


def test_a_field_not_taken_is_remembered_for_its_time_and_anew_each_time(
    ledger: Ledger, session, change, clock
) -> None:
    def not_taken(**fields: str | None) -> None:
        sent = ledger.intend(session, change())
        days = timedelta(days=7)
        ledger.answer(sent, "done", target_id="aB3dE", pushed={}, not_taken=fields, not_taken_for=days)

    not_taken(zip="h1", fax="h2")
    clock.forward(days=5)
    not_taken(zip="h1", fax=None)
    clock.forward(days=3)

    assert ledger.links("employees")["100482"].not_taken == {"zip": "h1"}
    clock.forward(days=4)
    assert ledger.links("employees")["100482"].not_taken == {}


def test_recognised_records_are_linked_all_at_once(ledger: Ledger, push: Push, clock) -> None:
    # given a record that is linked, with two fields SafetyAmp did not take
    push("employees", "1", "aaaaa", {"city": "A", "state": "LA"}, {"zip": "h1", "fax": "h2"})
    clock.forward(hours=1)

    # when it is seen to agree on one of them and on its city, and another record is recognised
    ledger.save_links(
        "employees",
        [
            Agreed("1", "1", "aaaaa", {"city": "B", "zip": "70000"}),
            Agreed("2", "2", "bbbbb", {"city": "C"}),
        ],
    )

    # then both are remembered, and the rest of the first still is
    links = ledger.links("employees")
    assert links["1"].pushed == {"city": "B", "state": "LA", "zip": "70000"}
    assert links["1"].not_taken == {"fax": "h2"}
    assert links["1"].updated_at == links["2"].updated_at == clock.now
    assert (links["2"].target_id, links["2"].pushed, links["2"].not_taken) == ("bbbbb", {"city": "C"}, {})


def test_recognised_records_claim_theirs_in_any_order(ledger: Ledger) -> None:
    # given three linked records
    for key, target_id in (("1", "aaaaa"), ("2", "bbbbb"), ("3", "ccccc")):
        link(ledger, "employees", key, target_id, {"city": "A"})

    # when two of them change places, and a new one takes the third's
    ledger.save_links(
        "employees",
        [Agreed("1", "1", "bbbbb", {}), Agreed("2", "2", "aaaaa", {}), Agreed("4", "4", "ccccc", {"city": "B"})],
    )

    # then each has its own and none remembers what was pushed to another
    found = {key: (link.target_id, link.pushed) for key, link in ledger.links("employees").items()}
    assert found == {"1": ("bbbbb", {}), "2": ("aaaaa", {}), "4": ("ccccc", {"city": "B"})}


def test_nothing_recognised_is_nothing_written(ledger: Ledger) -> None:
    ledger.save_links("employees", [])
    assert ledger.links("employees") == {}


def test_thousands_are_linked_in_one_go(ledger: Ledger) -> None:
    ledger.save_links("employees", [Agreed(str(n), str(n), n, {"emp_id": str(n)}) for n in range(2000)])
    assert len(ledger.links("employees")) == 2000
