"""The checks of whole syncs of the embedded world: all green when all is well, and each trouble in its own place."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest
from check_run import PROMISED

from safetyamp_pipelines.definitions import build_defs, resources_for
from safetyamp_pipelines.resources.run_memory import instance_in_memory
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sandbox import FaultRule, Sandbox, TargetOptions, WorldSpec

SMALL = WorldSpec(employees=12, jobs=6, vehicles=3, mess=False)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
Key = tuple[str, str]


@dataclass
class Story:
    """One company, one Dagster instance, several syncs."""

    box: Sandbox
    instance: dg.DagsterInstance
    defs: dg.Definitions
    results: list[dg.ExecuteInProcessResult] = field(default_factory=list)

    def sync(self, **push_config: Any) -> dict[Key, dg.AssetCheckEvaluation]:
        """Run sync_all; what the checks said, by asset and check."""
        config = {**QUIET, "resources": {"push_config": {"config": push_config}}}
        job = self.defs.resolve_job_def("sync_all")
        result = job.execute_in_process(instance=self.instance, raise_on_error=False, run_config=config)
        self.results.append(result)
        return {(one.asset_key.to_user_string(), one.check_name): one for one in result.get_asset_check_evaluations()}

    def personal(self) -> set[str]:
        """Values of people that no check may tell."""
        columns = ("LastName", "Email", "CellPhone", "Address")
        values = {str(row[name] or "").strip() for row in self.box.world.viewpoint["bPREH"] for name in columns}
        return {value for value in values if value}


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with Sandbox(SMALL, TargetOptions(calls=100_000)) as box, instance_in_memory() as instance:
        yield Story(box, instance, build_defs(resources_for(SettingsResource.of(box.environment))))


def red(said: Mapping[Key, dg.AssetCheckEvaluation]) -> dict[Key, str]:
    return {key: one.severity.value for key, one in said.items() if not one.passed}


@pytest.mark.xdist_group("checks_in_a_sync")
def test_syncs_of_one_company_and_what_their_checks_say(story: Story) -> None:
    all_is_green_and_every_check_is_run(story)
    a_dry_run_checks_the_plans_and_no_table(story)
    what_a_push_left_undone_is_told_and_stops_nothing(story)
    an_emptied_source_stops_its_own_lane(story)
    no_check_tells_a_value_of_a_person(story)


def all_is_green_and_every_check_is_run(story: Story) -> None:
    said = story.sync()

    assert story.results[-1].success
    assert red(said) == {}
    wanted = {(key.asset_key.to_user_string(), key.name) for key in story.defs.resolve_asset_graph().asset_check_keys}
    assert set(said) == wanted
    assert [key for key, one in said.items() if PROMISED - set(one.metadata)] == []
    budget = said["safetyamp/users", "budget"].metadata["measured"].value
    assert int(re.findall(r"\d+", str(budget))[0]) > 0


def a_dry_run_checks_the_plans_and_no_table(story: Story) -> None:
    said = story.sync(dry_run=True)

    assert story.results[-1].success
    assert red(said) == {}
    assert {asset.partition("/")[0] for asset, _ in said} == {
        "viewpoint",
        "entra",
        "samsara",
        "safetyamp_observed",
        "plan",
    }


def what_a_push_left_undone_is_told_and_stops_nothing(story: Story) -> None:
    # given somebody new whom SafetyAmp refuses, and a leaver for whom it breaks down
    new = story.box.sources.hire("Grace", "Newcomer")
    leaver = next(row["Employee"] for row in story.box.world.viewpoint["bPREH"] if row["PRCo"] == 1)
    story.box.sources.terminate(leaver)
    story.box.faults.add(FaultRule("status", "safetyamp", "POST", "/api/users", status=422))
    story.box.faults.add(FaultRule("status", "safetyamp", "PATCH", "/api/users", status=500))

    said = story.sync()

    # then the run is green, and the checks of the table say who and why
    assert story.results[-1].success
    assert red(said) == {
        ("safetyamp/users", "failure_share"): "WARN",
        ("safetyamp/users", "convergence"): "WARN",
    }
    assert said["safetyamp/users", "failure_share"].metadata["keys"].value == str(new)
    assert said["safetyamp/users", "convergence"].metadata["keys"].value == str(leaver)
    # and the leaver, who left some days ago, is known since this run only
    assert said["safetyamp/users", "leavers_off"].metadata["within_the_hours"].value == 1


def an_emptied_source_stops_its_own_lane(story: Story) -> None:
    since = len(story.box.requests())
    story.box.sources.delete_rows("bPRDP")

    said = story.sync()

    assert not story.results[-1].success
    assert red(said)["viewpoint/departments", "row_count"] == "ERROR"
    assert ("plan/departments", "guards") not in said
    written = {request.path.split("/")[2] for request in story.box.requests("safetyamp", since) if request.is_write}
    assert written == {"users"}, "somebody had left meanwhile, and departments are none of that"


def no_check_tells_a_value_of_a_person(story: Story) -> None:
    told = repr([result.get_asset_check_evaluations() for result in story.results])
    assert sorted(value for value in story.personal() if re.search(rf"\b{re.escape(value)}\b", told)) == []
