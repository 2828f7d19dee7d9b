"""Failures of a run are told once for each cause, with what to do, and without anybody's values."""

import json
import sys
from collections.abc import Mapping

import dagster as dg
import pytest
from dagster._core.errors import DagsterAssetCheckFailedError, DagsterExecutionInterruptedError
from dagster._utils.error import serializable_error_info_from_exc_info

from safetyamp_pipelines.cli.causes import Cause, cause_of_checks
from safetyamp_pipelines.cli.causes import causes_of as causes_of_diagnoses
from safetyamp_pipelines.ledger import LedgerUnusable
from safetyamp_pipelines.operations.diagnosis import Diagnosis, diagnose
from safetyamp_pipelines.resources.step_failures import diagnosis_of_error
from safetyamp_pipelines.sync.model.errors import (
    AnswerLost,
    AuthRefused,
    CircuitOpen,
    FatalCall,
    KeyRefused,
    NotSent,
    PlanRefused,
    ReadError,
    SnapshotError,
    SyncError,
)


def causes_of(failures: Mapping[str, BaseException]) -> list[Cause]:
    """The causes of these errors, each diagnosed where it was caught and carried as JSON."""
    found = {step: json.loads(json.dumps(diagnose(error).as_json())) for step, error in failures.items()}
    return causes_of_diagnoses({step: Diagnosis.from_json(one) for step, one in found.items()})


def dagsters_own(error: BaseException) -> Diagnosis:
    """What the event of a step tells that Dagster itself ended."""
    try:
        raise error
    except type(error):
        return diagnosis_of_error(serializable_error_info_from_exc_info(sys.exc_info()))


def raised(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def test_all_tables_of_a_system_that_is_down_are_one_cause_told_by_the_first_real_failure() -> None:
    down = NotSent("SafetyAmp", "GET", "/api/users", detail="no connection could be made")
    failures = {
        "safetyamp_observed/assets": CircuitOpen("SafetyAmp", "GET", "/api/assets", detail="no call was made"),
        "safetyamp_observed/users": raised(ReadError("safetyamp_observed/users", str(down)), down),
    }

    (cause,) = causes_of(failures)

    assert cause.text == (
        "SafetyAmp GET /api/users: no connection could be made (the same in 2 steps). "
        "Check SAFETYAMP_BASE_URL and the network"
    )
    assert cause.steps == tuple(failures)
    assert not cause.refused


def test_a_refused_key_is_told_by_the_call_that_met_the_refusal() -> None:
    failures = {
        "safetyamp_observed/assets": KeyRefused("SafetyAmp", "GET", "/api/assets", detail="no call was made"),
        "safetyamp_observed/users": AuthRefused("SafetyAmp", "GET", "/api/users", status=401),
    }

    (cause,) = causes_of(failures)

    assert cause.text == (
        "SafetyAmp GET /api/users answered 401 (the same in 2 steps). Check SAFETYAMP_TOKEN and SAFETYAMP_FQDN"
    )


def test_two_systems_that_are_down_are_two_causes() -> None:
    failures = {
        "samsara/drivers": AuthRefused("Samsara", "GET", "/fleet/drivers", status=401),
        "viewpoint": SnapshotError("viewpoint/jobs is torn"),
    }

    samsara, viewpoint = causes_of(failures)

    assert samsara.text == (
        "Samsara GET /fleet/drivers answered 401. Check SAMSARA_API_KEY, and that it has Read Vehicles and Read Drivers"
    )
    assert (viewpoint.text, viewpoint.refused) == ("viewpoint/jobs is torn", True)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (AnswerLost("SafetyAmp", "GET", "/api/sites", status=503), "Run it again later"),
        (AnswerLost("SafetyAmp", "GET", "/api/sites", status=200, detail="HTML"), "Check SAFETYAMP_BASE_URL"),
        (FatalCall("Samsara", "GET", "/fleet/drivers", status=302, detail="elsewhere"), "Check SAMSARA_BASE_URL"),
        (ReadError("entra/users", "a page came twice"), "Run it again"),
        (LedgerUnusable("the ledger /x/ledger.db cannot be created"), "Check LEDGER_URL"),
    ],
)
def test_an_error_that_names_no_setting_is_told_with_what_to_do(error: SyncError, advice: str) -> None:
    assert str(diagnose(error)).startswith(f"{error}. {advice}")


def test_a_call_that_knows_better_what_to_do_says_so() -> None:
    error = AuthRefused("Viewpoint", "CONNECT", "db", detail="no Entra token", advice="check the workload identity")

    assert str(diagnose(error)) == "Viewpoint CONNECT db: no Entra token. Check the workload identity"


def test_a_push_that_stopped_is_told_by_what_stopped_it() -> None:
    stop = PlanRefused("stopped: paused by Pat: audit")

    (cause,) = causes_of({"safetyamp/users": raised(dg.Failure("stopped"), stop)})

    assert (cause.text, cause.refused) == ("stopped: paused by Pat: audit", True)


def test_a_failed_check_forbids_to_write() -> None:
    error = DagsterAssetCheckFailedError("1 blocking asset check failed with ERROR severity:\nplan/users: guards")

    (cause,) = causes_of_diagnoses({"plan/users_guards": dagsters_own(error)})

    assert cause.text == "a blocking check failed: its metadata in the run says why"
    assert cause.refused


def test_a_failed_check_is_told_with_its_figures_where_they_are_at_hand() -> None:
    red = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(["entra", "users"]),
        check_name="row_count",
        passed=False,
        metadata={"measured": "0 rows", "limit": "not empty", "keys": "none", "look_closer": "safetyamp doctor"},
    )

    cause = cause_of_checks("entra/users_checks", [red])

    assert cause.text == (
        "the check row_count of entra/users failed: 0 rows, the limit is: not empty. Look closer: `safetyamp doctor`"
    )
    assert (cause.steps, cause.refused) == (("entra/users_checks",), True)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), DagsterExecutionInterruptedError()])
def test_an_interruption_says_that_running_again_is_safe(interrupt: BaseException) -> None:
    (cause,) = causes_of_diagnoses({"safetyamp/sites": dagsters_own(interrupt)})

    assert cause.text.startswith("interrupted at safetyamp/sites. Run it again")
    assert not cause.refused


def test_an_unexpected_error_names_the_step_and_its_kind_and_hides_what_is_personal() -> None:
    (cause,) = causes_of({"plan/employees": KeyError("ann.example@example.com", "+12145550100")})

    assert cause.text.startswith("plan/employees: unexpected KeyError")
    assert "ann.example" not in cause.text
    assert "2145550100" not in cause.text
