"""What a run amounts to: the exit code, and counts that do not claim what was not done."""

from typing import Any

import pytest

from safetyamp_pipelines.cli.causes import Cause
from safetyamp_pipelines.cli.running import Ran


def ran(**fields: Any) -> Ran:
    return Ran("a run", 1.0, **fields)


REFUSED = Cause("paused", ("safetyamp/users",), refused=True)
BROKEN = Cause("SafetyAmp answered 503", ("safetyamp/users",), refused=False)


@pytest.mark.parametrize(
    ("run", "code"),
    [
        (ran(verdicts={"jobs": {"created": 3, "rejected": 1, "held": 1}}, writes=3), 0),
        (ran(verdicts={"jobs": {"created": 3, "failed": 1}}, writes=3), 1),
        (ran(verdicts={"jobs": {"blocked": 1}}), 1),
        (ran(verdicts={"jobs": {"stale": 1}}), 1),
        (ran(verdicts={"jobs": {"not_attempted": 1}}), 1),
        (ran(causes=[BROKEN], writes=3, wrote_nothing=False), 1),
        (ran(causes=[BROKEN], wrote_nothing=False), 1),  # the first call may have been carried out
        (ran(causes=[BROKEN]), 2),
        (ran(causes=[REFUSED], writes=3, wrote_nothing=False), 1),  # one lane was refused, others went through
        (ran(causes=[BROKEN, REFUSED]), 2),
    ],
)
def test_the_exit_code_tells_in_step_from_failed_from_refused(run: Ran, code: int) -> None:
    assert run.exit_code == code
    assert run.as_json()["exit_code"] == code


def test_the_document_names_each_cause_with_the_steps_it_stopped() -> None:
    document = ran(causes=[REFUSED]).as_json()

    assert document["errors"] == [{"error": "paused", "steps": ["safetyamp/users"]}]
