"""The form's list of keys: which plan it reduces, and what it refuses so that nothing else is pushed by mistake."""

from __future__ import annotations

import pytest

from safetyamp_pipelines.assets.push_config import PushConfig
from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.plan import Plan


def plan(*only: str, entity: str = "employees") -> Plan:
    return Plan(entity, "users", "2026-11-20T10:00:00Z", {}, "", only=only)


def test_each_entity_gets_its_own_keys_also_those_with_a_slash_in_them() -> None:
    form = PushConfig(only_keys=["employees/100482", " employees/2/1001 ", "jobs/24113."])

    assert form.keys_of("employees") == ("100482", "2/1001")
    assert form.keys_of("jobs") == ("24113.",)
    assert form.keys_of("titles") == PushConfig().keys_of("employees") == ()


@pytest.mark.parametrize("text", ["100482", "employees/", "people/100482", ""])
def test_what_names_no_record_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(PlanRefused, match="employees/100482"):
        PushConfig(only_keys=[text]).keys_of("employees")


def test_a_run_that_would_push_more_than_was_asked_is_refused() -> None:
    form = PushConfig(only_keys=["employees/100482"])

    form.refuse_unasked(plan("100482"))
    PushConfig().refuse_unasked(plan())
    with pytest.raises(PlanRefused, match="names no record of jobs, which this run pushes too: launch sync_employees"):
        form.refuse_unasked(plan(entity="jobs"))
    with pytest.raises(PlanRefused, match="was not made for 100482 alone: launch sync_employees"):
        form.refuse_unasked(plan())
