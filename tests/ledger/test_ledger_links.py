"""Links: one per source record, one per SafetyAmp record, with what was last pushed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from safetyamp_pipelines.ledger import IntentUnsettled, Ledger, Link
from safetyamp_pipelines.sync.model.plan import Agreed


def test_a_link_is_told_whole(ledger: Ledger) -> None:
    ledger.save_link("jobs", "1/24113.", "24113.", 6001, {"name": "24113. - Quay", "street": None}, {"zip": "h1"})

    assert ledger.links("jobs") == {
        "1/24113.": Link(
            source_key="1/24113.",
            target_id=6001,
            natural_key="24113.",
            pushed={"name": "24113. - Quay", "street": None},
            not_taken={"zip": "h1"},
            updated_at=datetime(2026, 11, 20, 10, 0, tzinfo=UTC),
        )
    }
    assert ledger.links("employees") == {}


def test_a_later_push_is_merged_into_the_earlier_ones(ledger: Ledger, clock) -> None:
    # given two fields that were pushed, and two that SafetyAmp did not take
    ledger.save_link("employees", "100482", "100482", "aB3dE", {"city": "A", "state": "LA"}, {"zip": "1", "fax": "2"})

    # when an update changes one of each, and SafetyAmp takes one at last
    clock.forward(hours=1)
    ledger.save_link("employees", "100482", "100482", "aB3dE", {"city": "B"}, {"zip": "3", "fax": None})

    # then the rest is still remembered
    link = ledger.links("employees")["100482"]
    assert link.pushed == {"city": "B", "state": "LA"}
    assert link.not_taken == {"zip": "3"}
    assert link.updated_at == datetime(2026, 11, 20, 11, 0, tzinfo=UTC)


def test_a_link_survives_a_rename(ledger: Ledger) -> None:
    ledger.save_link("titles", "fitter", "Fitter", 77, {"name": "Fitter"})
    ledger.save_link("titles", "fitter", "Pipe Fitter", 77, {"name": "Pipe Fitter"})

    link = ledger.links("titles")["fitter"]
    assert (link.target_id, link.natural_key) == (77, "Pipe Fitter")


def test_another_safetyamp_record_starts_from_nothing(ledger: Ledger) -> None:
    # given a record whose old counterpart was deleted in SafetyAmp
    ledger.save_link("employees", "100482", "100482", "aB3dE", {"city": "A", "state": "LA"}, {"zip": "1"})

    # when it was created anew
    ledger.save_link("employees", "100482", "100482", "xY9zZ", {"city": "A"})

    # then what was pushed to the old one is forgotten
    link = ledger.links("employees")["100482"]
    assert (link.target_id, link.pushed, link.not_taken) == ("xY9zZ", {"city": "A"}, {})


def test_a_safetyamp_record_has_one_source_record_the_last_that_claimed_it(ledger: Ledger) -> None:
    # given a vehicle whose record in Samsara vanished, and one that has nothing to do with it
    assert ledger.save_link("vehicles", "281474", "VIN1", 9001, {"name": "Truck 1"}, {"year": "h"}) is None
    ledger.save_link("vehicles", "281475", "VIN2", 9002, {})

    # when the same vehicle is entered anew, then the caller learns which link it replaces
    assert ledger.save_link("vehicles", "555555", "VIN1", 9001, {"name": "Truck 1b"}) == "281474"

    # and the new link knows nothing of the old one
    links = ledger.links("vehicles")
    assert {key: link.target_id for key, link in links.items()} == {"555555": 9001, "281475": 9002}
    assert (links["555555"].pushed, links["555555"].not_taken) == ({"name": "Truck 1b"}, {})

    # but the same id in another table is another record
    assert ledger.save_link("jobs", "1/24113.", "24113.", 9001, {}) is None


def test_a_linked_record_can_claim_another(ledger: Ledger) -> None:
    ledger.save_link("employees", "1", "1", "aaaaa", {"city": "A"})
    ledger.save_link("employees", "2", "2", "bbbbb", {"city": "B"})

    assert ledger.save_link("employees", "1", "1", "bbbbb", {}) == "2"
    assert {key: link.target_id for key, link in ledger.links("employees").items()} == {"1": "bbbbb"}


def test_a_wrong_link_is_forgotten_and_who_did_it_and_why_is_kept(ledger: Ledger, clock) -> None:
    ledger.save_link("employees", "100482", "100482", "aB3dE", {"city": "A"})
    ledger.save_link("jobs", "24113.", "24113.", 7, {})

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


def test_a_link_is_not_forgotten_while_a_call_for_the_record_has_no_answer(ledger: Ledger, session, intent) -> None:
    ledger.save_link("employees", "100482", "100482", "aB3dE", {})
    change = ledger.intend(session, intent(action="update", target_id="aB3dE"))

    with pytest.raises(IntentUnsettled, match="sync once, which settles it, then unlink"):
        ledger.unlink("employees", "100482", "Kim", "wrong")
    assert set(ledger.links("employees")) == {"100482"}

    ledger.answer(change, "failed")
    assert ledger.unlink("employees", "100482", "Kim", "wrong") is not None


def test_a_field_not_taken_is_remembered_for_its_time_and_anew_each_time(
    ledger: Ledger, session, intent, clock
) -> None:
    def not_taken(**fields: str | None) -> None:
        change = ledger.intend(session, intent())
        days = timedelta(days=7)
        ledger.answer(change, "done", target_id="aB3dE", pushed={}, not_taken=fields, not_taken_for=days)

    not_taken(zip="h1", fax="h2")
    clock.forward(days=5)
    not_taken(zip="h1", fax=None)
    clock.forward(days=3)

    assert ledger.links("employees")["100482"].not_taken == {"zip": "h1"}
    clock.forward(days=4)
    assert ledger.links("employees")["100482"].not_taken == {}


def test_recognised_records_are_linked_all_at_once(ledger: Ledger, clock) -> None:
    # given a record that is linked, with two fields SafetyAmp did not take
    ledger.save_link("employees", "1", "1", "aaaaa", {"city": "A", "state": "LA"}, {"zip": "h1", "fax": "h2"})
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
        ledger.save_link("employees", key, key, target_id, {"city": "A"})

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
