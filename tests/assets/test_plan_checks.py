"""A push takes a plan only when the plan's own checks were run on it and passed, wherever that was."""

from collections.abc import Iterator

import dagster as dg
import pytest

from safetyamp_pipelines.assets.verified import refuse_unchecked, run_of
from safetyamp_pipelines.resources.run_memory import instance_in_memory
from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.plan import Plan

KEY = dg.AssetKey(["plan", "titles"])
CHECKS = ("one_verdict_each", "references")


def plan(config: str = "rules") -> Plan:
    return Plan("titles", "user_titles", "2026-11-20T12:00:00Z", {}, config)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with instance_in_memory() as one:
        yield one


def made(instance: dg.DagsterInstance, of: Plan, **results: dg.AssetCheckResult) -> str:
    """A run that makes this plan and gives its checks these results; its id."""

    @dg.asset(key=KEY)
    def plan_titles(context: dg.AssetExecutionContext) -> None:
        context.add_output_metadata({"plan_hash": of.hash})

    return dg.materialize(
        [plan_titles, *(checked(*one) for one in results.items())], instance=instance, raise_on_error=False
    ).run_id


def checked(name: str, result: dg.AssetCheckResult) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=KEY, name=name, blocking=True)
    def check() -> dg.AssetCheckResult:
        return result

    return check


def passed() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


def failed(severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=severity)


def why(instance: dg.DagsterInstance, of: Plan, run_id: str = "another") -> str:
    with pytest.raises(PlanRefused) as caught:
        refuse_unchecked(instance, of, CHECKS, run_id=run_id)
    return str(caught.value)


def test_checks_that_passed_in_this_run_or_in_the_plans_own_let_it_through(instance):
    run_id = made(instance, plan(), one_verdict_each=passed(), references=passed())

    refuse_unchecked(instance, plan(), CHECKS, run_id=run_id)
    refuse_unchecked(instance, plan(), CHECKS, run_id="a push alone, later")


def test_a_plan_of_no_known_run_is_refused_with_the_job_that_makes_and_checks_it(instance):
    made(instance, plan("other rules"), one_verdict_each=passed(), references=passed())

    assert "sync_titles" in why(instance, plan())


def test_a_check_that_was_not_run_on_this_plan_is_named(instance):
    made(instance, plan(), one_verdict_each=passed(), references=passed())
    made(instance, plan("new rules"), one_verdict_each=passed())

    told = why(instance, plan("new rules"))

    assert "the check references was never run" in told
    assert "plan/titles" in told


def test_a_check_that_failed_is_named_and_a_warning_stops_nothing(instance):
    made(instance, plan(), one_verdict_each=failed(), references=passed())
    assert "the check one_verdict_each failed" in why(instance, plan())

    warned = failed(dg.AssetCheckSeverity.WARN)
    run_id = made(instance, plan(), one_verdict_each=warned, references=passed())
    refuse_unchecked(instance, plan(), CHECKS, run_id=run_id)


def test_a_plan_made_at_the_same_time_by_another_run_does_not_stand_in_for_this_one(instance):
    mine = made(instance, plan(), one_verdict_each=passed(), references=passed())
    other = made(instance, plan("new rules"), one_verdict_each=failed(), references=failed())

    assert run_of(instance, plan(), mine) == mine
    assert run_of(instance, plan("new rules"), mine) == other
    refuse_unchecked(instance, plan(), CHECKS, run_id=mine)


def test_a_check_executed_again_later_counts(instance):
    made(instance, plan(), one_verdict_each=passed(), references=failed())
    spec = dg.AssetSpec(KEY)
    dg.materialize(
        [spec, checked("references", passed())],
        instance=instance,
        selection=dg.AssetSelection.checks(dg.AssetCheckKey(KEY, "references")),
    )

    refuse_unchecked(instance, plan(), CHECKS, run_id="later")
