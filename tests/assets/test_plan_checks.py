"""A push takes a plan only when the plan's own checks were run on it and passed, wherever that was."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from safetyamp_pipelines.assets.verified import refuse_unchecked, run_of
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.plan import Plan, Refused

KEY = dg.AssetKey(["plan", "titles"])
CHECKS = ("one_verdict_each", "guards")


def plan(config: str = "rules", *, refused: bool = False) -> Plan:
    guard = Refused("creates", "2 of 9 records, at most 1 are allowed", ("welder",), "guards.creates")
    return Plan("titles", "user_titles", "2026-11-20T12:00:00Z", {}, config, refused=(guard,) if refused else ())


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


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


def why(instance: dg.DagsterInstance, of: Plan, ledger: Ledger, run_id: str = "another") -> str:
    with pytest.raises(PlanRefused) as caught:
        refuse_unchecked(instance, of, CHECKS, run_id=run_id, ledger=ledger)
    return str(caught.value)


def test_checks_that_passed_in_this_run_or_in_the_plans_own_let_it_through(instance, ledger):
    run_id = made(instance, plan(), one_verdict_each=passed(), guards=passed())

    refuse_unchecked(instance, plan(), CHECKS, run_id=run_id, ledger=ledger)
    refuse_unchecked(instance, plan(), CHECKS, run_id="a push alone, later", ledger=ledger)


def test_a_plan_of_no_known_run_is_refused_with_the_job_that_makes_and_checks_it(instance, ledger):
    made(instance, plan("other rules"), one_verdict_each=passed(), guards=passed())

    assert "sync_titles" in why(instance, plan(), ledger)


def test_a_check_that_was_not_run_on_this_plan_is_named(instance, ledger):
    made(instance, plan(), one_verdict_each=passed(), guards=passed())
    made(instance, plan("new rules"), one_verdict_each=passed())

    told = why(instance, plan("new rules"), ledger)

    assert "the check guards was never run" in told
    assert "plan/titles" in told


def test_a_check_that_failed_is_named_and_a_warning_stops_nothing(instance, ledger):
    made(instance, plan(), one_verdict_each=failed(), guards=passed())
    assert "the check one_verdict_each failed" in why(instance, plan(), ledger)

    warned = failed(dg.AssetCheckSeverity.WARN)
    run_id = made(instance, plan(), one_verdict_each=warned, guards=passed())
    refuse_unchecked(instance, plan(), CHECKS, run_id=run_id, ledger=ledger)


def test_only_the_guards_can_be_overruled_and_only_for_this_plan(instance, ledger):
    refused, also = plan(refused=True), plan("other rules", refused=True)
    for one in (refused, also):
        made(instance, one, one_verdict_each=passed(), guards=failed())
    ledger.approve(refused.hash, "titles", "Kim", "a new trade", timedelta(hours=1))

    refuse_unchecked(instance, refused, CHECKS, run_id="later", ledger=ledger)
    assert f"safetyamp approve {also.hash[:12]}" in why(instance, also, ledger)

    made(instance, refused, one_verdict_each=failed(), guards=failed())
    assert "one_verdict_each failed" in why(instance, refused, ledger)


def test_a_plan_made_at_the_same_time_by_another_run_does_not_stand_in_for_this_one(instance, ledger):
    mine = made(instance, plan(), one_verdict_each=passed(), guards=passed())
    other = made(instance, plan("new rules"), one_verdict_each=failed(), guards=failed())

    assert run_of(instance, plan(), mine) == mine
    assert run_of(instance, plan("new rules"), mine) == other
    refuse_unchecked(instance, plan(), CHECKS, run_id=mine, ledger=ledger)


def test_a_check_executed_again_later_counts(instance, ledger):
    made(instance, plan(), one_verdict_each=passed(), guards=failed())
    spec = dg.AssetSpec(KEY)
    dg.materialize(
        [spec, checked("guards", passed())],
        instance=instance,
        selection=dg.AssetSelection.checks(dg.AssetCheckKey(KEY, "guards")),
    )

    refuse_unchecked(instance, plan(), CHECKS, run_id="later", ledger=ledger)
