"""Plans spoilt by hand are stopped before a push sees them, with the records and fields named and no value told."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from check_run import PROMISED, Checked, checked, snapshot_of
from small_worlds import ROOT, SOUTH, change, company, department, observed_in, plan_of

from safetyamp_pipelines.checks.judged import Level
from safetyamp_pipelines.checks.plan_checks import guards_check, judge_verdicts, verdicts_check
from safetyamp_pipelines.checks.proof_checks import CHECKS, plan_proofs
from safetyamp_pipelines.resources.keys import PLAN_CHECKS
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.plan import Outcome, Plan, Verdict

WORLD = company(site_clusters=[ROOT, SOUTH], viewpoint__departments=[department("10"), department("11")])
Prove = Callable[..., Checked]


@pytest.fixture
def prove(memory_instance: dg.DagsterInstance, tmp_path: Path) -> Prove:
    """Stores the plan with the SafetyAmp it was made from, and checks it."""

    def prove(plan: Plan, rules: str = "{}") -> Checked:
        name = "safetyamp_observed/site_clusters"
        values = {name: snapshot_of(name, observed_in(WORLD)["site_clusters"]), "plan/departments": plan}
        proofs = plan_proofs(BY_NAME["departments"])
        return checked(proofs, values, home=tmp_path, instance=memory_instance, rules=rules)

    return prove


def spoilt(plan: Plan, key: str, fields: Mapping[str, object]) -> Plan:
    one = change(plan, key)
    other = replace(one, fields={**one.fields, **{name: (None, value) for name, value in fields.items()}})
    return replace(plan, changes=tuple(other if each is one else each for each in plan.changes))


def test_a_sound_plan_is_green_and_says_what_was_measured(prove: Prove) -> None:
    plan = plan_of("departments", WORLD)
    assert plan.changes

    found = prove(plan)

    assert (found.is_green, found.went_on) == (True, True)
    assert found.levels() == dict.fromkeys(CHECKS, "fine")
    assert [name for name in CHECKS if PROMISED - set(found.told(name))] == []
    assert found.told("references")["look_closer"] == "safetyamp plan departments"


@pytest.mark.parametrize(
    ("fields", "check", "label"),
    [
        ({"parent_cluster_id": "Atlantis"}, "references", "Region"),
        ({"external_code": "10"}, "collisions", "Cluster code"),
    ],
)
def test_a_spoilt_plan_is_stopped_by_the_check_that_names_record_and_field(
    prove: Prove, fields: dict[str, object], check: str, label: str
) -> None:
    found = prove(spoilt(plan_of("departments", WORLD), "11", fields))

    assert found.levels() == {**dict.fromkeys(CHECKS, "fine"), check: "ERROR"}
    assert (found.is_green, found.went_on) == (False, False)
    assert label in found.told(check)["measured"]
    assert "11" in found.told(check)["keys"].split(", ")
    assert "Atlantis" not in repr(found.said)


def test_a_plan_whose_verdicts_add_up_is_fine() -> None:
    found = judge_verdicts(plan_of("departments", WORLD))

    assert (found.level, found.keys) == (Level.FINE, ())


def test_a_record_with_two_verdicts_or_none_and_a_change_without_one_are_named() -> None:
    plan = plan_of("departments", WORLD)
    twice, *others = [verdict for verdict in plan.verdicts if verdict.source_key in ("10", "11")]
    lost = others[0].source_key
    verdicts = [verdict for verdict in plan.verdicts if verdict.source_key != lost]

    found = judge_verdicts(replace(plan, verdicts=(*verdicts, twice), unaccounted=("12",)))

    assert (found.level, found.keys) == (Level.ERROR, ("10", "11", "12"))
    assert (found.more["keys_with_two_verdicts"], found.more["changes_without_verdict"]) == ("10", "11")
    assert "records unaccounted: 1" in found.measured


def rejecting(share: float, size: int) -> Plan:
    rejected = int(share * size)
    verdicts = [
        Verdict(str(place), Outcome.REJECTED if place < rejected else Outcome.UNCHANGED, "rule", ("Region is missing",))
        for place in range(size)
    ]
    return replace(plan_of("departments", WORLD), changes=(), verdicts=tuple(verdicts))


@pytest.mark.parametrize(
    ("share", "size", "level"), [(0.1, 40, "fine"), (0.3, 40, "WARN"), (0.6, 40, "ERROR"), (1.0, 19, "fine")]
)
def test_many_rejected_warn_and_most_rejected_stop(prove: Prove, share: float, size: int, level: str) -> None:
    found = prove(rejecting(share, size))

    assert found.levels()["rejected_share"] == level
    assert found.went_on == (level != "ERROR")


def test_the_limits_are_those_of_sync_yaml(prove: Prove) -> None:
    rules = "checks: {rejected: {from_records: 5, warn: 0.01, error: 0.02}}"
    found = prove(rejecting(0.1, 10), rules)

    assert found.levels()["rejected_share"] == "ERROR"
    assert found.told("rejected_share")["reasons"] == "1x Region is missing"


def test_the_checks_a_push_asks_for_are_those_that_exist() -> None:
    made = [verdicts_check("jobs"), guards_check("jobs"), plan_proofs(BY_NAME["jobs"])]
    assert {key.name for one in made for key in one.check_keys} == {*PLAN_CHECKS, "guards"}
