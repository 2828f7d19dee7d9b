"""A failed run is one problem for each cause, as urgent as its job; other people's words are not repeated."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterAssetCheckFailedError, DagsterExecutionInterruptedError
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._utils.error import serializable_error_info_from_exc_info
from dagster_shared.error import SerializableErrorInfo

from safetyamp_pipelines.automation.alerting.failed_runs import FailedStep, reds_of
from safetyamp_pipelines.ledger import LedgerUnusable
from safetyamp_pipelines.operations.alerts.problems import Level, Red
from safetyamp_pipelines.operations.diagnosis import diagnose
from safetyamp_pipelines.resources.keys import SYNC_TAG
from safetyamp_pipelines.resources.step_failures import diagnosis_of_error
from safetyamp_pipelines.settings.model import Problem, SettingsError
from safetyamp_pipelines.sync.model.errors import (
    AnswerLost,
    AuthRefused,
    CircuitOpen,
    NotSent,
    PlanRefused,
    PushStopped,
    ReadError,
    SnapshotError,
)

SYNC = dg.DagsterRun(job_name="sync_all", run_id="1f2e3d4c", tags={SYNC_TAG: "push"})
RUNBOOK = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
PARTLY = SYNC.with_tags({**SYNC.tags, "safetyamp/figures": "done: titles 3 created"})
REPORT = dg.DagsterRun(job_name="report_daily", run_id="5a6b7c8d")


def failed(step: str, error: Exception, cause: Exception | None = None) -> FailedStep:
    """A step that raised, diagnosed where it was caught."""
    error.__cause__ = cause
    return FailedStep(step, diagnose(error))


def failed_by(error: BaseException) -> SerializableErrorInfo:
    """An error as Dagster itself writes it down."""
    try:
        raise error
    except type(error):
        return serializable_error_info_from_exc_info(sys.exc_info())


def reds(*steps: FailedStep, run: dg.DagsterRun = SYNC, rests: bool = False) -> list[Red]:
    return list(reds_of(run, JobFailureData(None, RunFailureReason.STEP_FAILURE), steps, 1.0, rests=rests))


@pytest.mark.parametrize(
    ("step", "error", "title", "advice"),
    [
        ("viewpoint", AuthRefused("Viewpoint", "CONNECT", "db"), "Viewpoint refuses our login", "SQL_USERNAME"),
        (
            "entra__users",
            NotSent("Microsoft Graph", "GET", "/users"),
            "Microsoft Graph cannot be used",
            "MS_GRAPH_BASE",
        ),
        (
            "samsara__drivers",
            AnswerLost("Samsara", "GET", "/x", status=502),
            "Samsara cannot be used",
            "Run it again later; `safetyamp doctor` tests every system; the next sync tries again automatically",
        ),
        (
            "safetyamp__users",
            PushStopped("stopped"),
            "employees: the push stopped before its end",
            "plan employees",
        ),
        (
            "safetyamp__users",
            PlanRefused("too old"),
            "employees: the push was refused",
            "do what the message says",
        ),
        ("plan__jobs", SnapshotError("torn"), "plan/jobs: a snapshot cannot be used", "do what the message says"),
        (
            "viewpoint",
            ReadError("viewpoint/jobs", "shrank"),
            "viewpoint: a table could not be read whole",
            "message says",
        ),
        ("plan__jobs", LedgerUnusable("no such host"), "the ledger cannot be used", "do what the message says"),
        (
            "plan__jobs",
            SettingsError([Problem("SMTP_PORT", "is wrong", "Correct it")]),
            "the settings are wrong",
            "do what",
        ),
        ("plan__jobs", KeyError("kim@example.com"), "plan/jobs: failed unexpectedly (KeyError)", "the page of the run"),
    ],
)
def test_each_kind_of_failure_has_a_title_with_consequence_and_advice(
    step: str, error: Exception, title: str, advice: str
):
    (red,) = reds(failed(step, error))

    what, _, follows = red.title.partition("; ")
    assert (what, red.level, red.needs) == (title, Level.CRITICAL, frozenset({f"step/{step}"}))
    assert follows or isinstance(error, KeyError), "the consequence is in the title"
    assert advice in red.advice
    assert f"In sync_all, at {step.replace('__', '/')}" in red.detail
    assert "kim@" not in red.detail
    words = re.sub(r"^(Viewpoint|Microsoft Graph|Samsara) | \(.*", "", title.rpartition(": ")[2])
    assert words in RUNBOOK, "the runbook says what to do"


def test_a_failed_read_is_told_by_the_call_that_failed():
    refused = AuthRefused("Samsara", "GET", "/fleet/drivers", status=401)

    (red,) = reds(failed("samsara__drivers", ReadError("samsara/drivers", "401"), refused))

    assert red.problem == "call/Samsara"
    assert "Samsara GET /fleet/drivers answered 401" in red.detail


def test_tables_of_one_system_are_one_problem_told_by_what_came_before_the_circuit_opened():
    (red,) = reds(
        failed("safetyamp_observed__sites", CircuitOpen("SafetyAmp", "GET", "/api/sites", detail="not called")),
        failed("safetyamp_observed__users", AnswerLost("SafetyAmp", "GET", "/api/users", status=503)),
    )

    assert red.needs == {"step/safetyamp_observed__sites", "step/safetyamp_observed__users"}
    assert "SafetyAmp GET /api/users answered 503" in red.detail
    assert red.asset == ""


def test_two_systems_are_two_problems():
    found = reds(
        failed("samsara__drivers", NotSent("Samsara", "GET", "/x")),
        failed("viewpoint", NotSent("Viewpoint", "GET", "x")),
    )

    assert [red.problem for red in found] == ["call/Samsara", "call/Viewpoint"]


def test_what_a_check_stopped_is_told_by_the_check():
    stopped = failed_by(DagsterAssetCheckFailedError("1 blocking asset check failed"))
    assert reds(FailedStep("plan__jobs_guards", diagnosis_of_error(stopped))) == []


def test_a_refused_push_wakes_nobody_while_people_want_syncing_to_rest():
    refused = failed("safetyamp__users", PlanRefused("syncing is paused by Kim"))

    assert [red.level for red in reds(refused, rests=True)] == [Level.DIGEST]
    assert [red.level for red in reds(refused)] == [Level.CRITICAL]


def test_a_report_that_failed_can_wait_but_a_source_that_refuses_us_cannot():
    bug, login = failed("reports__daily", KeyError("x")), failed("entra__users", AuthRefused("Entra", "GET", "/x"))

    assert [red.level for red in reds(bug, run=REPORT)] == [Level.DIGEST]
    assert [red.level for red in reds(login, run=REPORT)] == [Level.CRITICAL]


def test_a_push_that_somebody_materialised_alone_is_a_sync_too():
    key = dg.AssetKey(["safetyamp", "users"])
    alone = dg.DagsterRun(job_name="__ASSET_JOB", run_id="9e8f", asset_selection=frozenset({key}))

    (red,) = reds(failed("safetyamp__users", KeyError("x")), run=alone)

    assert red.level is Level.CRITICAL


@pytest.mark.parametrize(
    ("run", "level"), [(SYNC, Level.CRITICAL), (REPORT, Level.DIGEST)], ids=["sync_all", "report_daily"]
)
def test_a_run_that_ended_without_a_word_died(run: dg.DagsterRun, level: Level):
    (red,) = list(reds_of(run, None, [], 1.0, rests=False))

    follows = "; the next sync continues where it stopped" if run is SYNC else ""
    assert (red.title, red.level) == (f"a run of {run.job_name} died{follows}", level)
    assert red.needs == {f"job/{run.job_name}"}


def test_a_run_that_was_killed_after_a_step_had_failed_is_told_as_both():
    killed = JobFailureData(None, RunFailureReason.UNEXPECTED_TERMINATION)

    found = list(reds_of(SYNC, killed, [failed("viewpoint", NotSent("Viewpoint", "GET", "x"))], 1.0, rests=False))

    assert [red.problem for red in found] == ["call/Viewpoint", "lost/sync_all"]


@pytest.mark.parametrize("reason", [None, RunFailureReason.UNEXPECTED_TERMINATION], ids=["too long", "its node ended"])
def test_a_run_that_was_interrupted_in_a_push_died_and_is_no_error_of_the_push(reason: RunFailureReason | None):
    interrupted = FailedStep("safetyamp__users", diagnosis_of_error(failed_by(DagsterExecutionInterruptedError())))

    (red,) = list(reds_of(SYNC, JobFailureData(None, reason) if reason else None, [interrupted], 1.0, rests=False))

    assert (red.problem, red.title) == (
        "lost/sync_all",
        "a run of sync_all died; the next sync continues where it stopped",
    )


def test_a_run_that_could_not_begin_says_why():
    error = failed_by(SettingsError([Problem("LEDGER_URL", "is wrong", "Correct it")]))

    (red,) = list(reds_of(SYNC, JobFailureData(error, RunFailureReason.RUN_EXCEPTION), [], 1.0, rests=False))

    assert red.title == "a run of sync_all could not go on"
    assert red.detail == "an error of the kind SettingsError"


def test_what_the_run_did_all_the_same_is_said_first() -> None:
    (stopped,) = reds(failed("safetyamp__users", PushStopped("stopped: 10 refused")), run=PARTLY)
    (died,) = reds(run=PARTLY)

    assert all(red.detail.splitlines()[0] == "Nevertheless, done: titles 3 created" for red in (stopped, died))
