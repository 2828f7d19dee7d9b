"""What a run did in one line: first what was done all the same."""

from __future__ import annotations

from safetyamp_pipelines.operations.figures import figures_of


def test_what_was_done_is_said_first_then_what_failed_and_what_was_held() -> None:
    counts = {
        "titles": {"held": 2, "unchanged": 9},
        "employees": {"blocked": 1, "created": 3, "failed": 2, "updated": 5, "rejected": 4},
        "vehicles": {"failed": 1, "not_attempted": 6},
    }

    assert figures_of(counts) == (
        "done: employees 3 created, 5 updated; failed: employees 2 failed, 1 blocked, vehicles 1; "
        "not attempted: vehicles 6; held: titles 2; rejected: employees 4"
    )


def test_a_run_that_did_nothing_says_so() -> None:
    assert figures_of({"titles": {"unchanged": 9}}) == figures_of({}) == "done: nothing"
