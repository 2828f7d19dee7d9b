"""`safetyamp unlink`: a wrong link is forgotten, recorded and found anew; what cannot be forgotten is refused."""

from __future__ import annotations

from commands import assert_declined, in_this_process
from ledger_entries import change_of, link

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import Sandbox


def test_a_link_is_forgotten_and_the_next_sync_recognises_the_record_anew(box: Sandbox, ledger: Ledger) -> None:
    in_this_process(box, "sync", "titles")
    key, link = next(iter(ledger.links("titles").items()))

    forgotten = in_this_process(box, "unlink", "titles", key, "--reason", "mixed up", "--by", "Kim")
    standing = ledger.links("titles")
    told = in_this_process(box, "unlinked").stdout
    synced = in_this_process(box, "sync", "titles")

    assert forgotten.exit_code == 0, forgotten.stderr
    assert f"titles {key}: forgotten by Kim" in forgotten.stdout
    assert key not in standing
    assert (f"SafetyAmp id {link.target_id}: mixed up" in told, len(told.splitlines())) == (True, 1)
    assert (synced.exit_code, synced.writes) == (0, [])
    assert ledger.links("titles")[key].target_id == link.target_id


def test_the_same_as_json(box: Sandbox, ledger: Ledger) -> None:
    link(ledger, "employees", "100482", "aB3dE")

    one = in_this_process(box, "unlink", "employees", "100482", "--reason", "wrong", "--by", "Kim", "--json").document()
    every = in_this_process(box, "unlinked", "--json").document()["unlinked"]
    none = in_this_process(box, "unlinked", "--entity", "jobs", "--json").document()["unlinked"]

    assert (one["target_id"], one["who"], one["reason"]) == ("aB3dE", "Kim", "wrong")
    assert ([{**each, "ledger_used": one["ledger_used"]} for each in every], none) == ([one], [])
    assert in_this_process(box, "unlinked", "--entity", "jobs").stdout == "no link was ever removed by hand\n"


def test_what_cannot_be_forgotten_is_refused(box: Sandbox, ledger: Ledger) -> None:
    link(ledger, "employees", "100482", "aB3dE")
    ledger.intend(
        ledger.start_session("run-1", "employees", "plan", {}),
        change_of("100482", {}, action="update", target_id="aB3dE"),
    )

    assert_declined(
        in_this_process(box, "unlink", "employees", "100482", "--reason", "x"), "no answer yet", "then unlink"
    )
    assert_declined(
        in_this_process(box, "unlink", "employees", "7", "--reason", "x"), "employee 7 is linked to nothing"
    )
    assert_declined(in_this_process(box, "unlinked", "--entity", "trucks"), "trucks", "employees")
    assert_declined(in_this_process(box, "unlink", "trucks", "7", "--reason", "x"), "trucks", "employees")
    assert_declined(in_this_process(box, "unlink", "employees", "100482", "--reason", " "), "--reason")
    assert set(ledger.links("employees")) == {"100482"}
