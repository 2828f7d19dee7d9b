"""A step's error is diagnosed where it is caught, and the diagnosis is in the event of the failure."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from safetyamp_pipelines.operations.diagnosis import Diagnosis
from safetyamp_pipelines.resources.step_failures import diagnosed, diagnosis_of, failure_of
from safetyamp_pipelines.sync.model.errors import AuthRefused, PlanRefused, ReadError


def returning(error: Exception) -> dg.AssetsDefinition:
    @dg.asset(name="failing")
    @diagnosed
    def failing(context: dg.AssetExecutionContext) -> int:
        raise error

    return failing


def yielding(error: Exception) -> dg.AssetsDefinition:
    @dg.multi_asset(name="failing", outs={"one": dg.AssetOut(), "two": dg.AssetOut()})
    @diagnosed
    def failing(context: dg.AssetExecutionContext) -> Iterator[dg.Output[int]]:
        yield dg.Output(1, output_name="one")
        raise error

    return failing


class Full(dg.IOManager):
    """A store that takes nothing."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    @diagnosed
    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        raise self.error

    def load_input(self, context: dg.InputContext) -> Any:
        return None


@dg.asset(name="failing")
def stored() -> int:
    return 1


def failure(asset: dg.AssetsDefinition, **resources: Any) -> dg.DagsterEvent:
    result = dg.materialize([asset], raise_on_error=False, resources=resources)
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event


@pytest.mark.parametrize("made", [returning, yielding, None])
def test_a_step_that_fails_carries_its_diagnosis(made: Any) -> None:
    read = ReadError("samsara/drivers", "401")
    read.__cause__ = AuthRefused("Samsara", "GET", "/fleet/drivers", status=401)

    event = failure(made(read)) if made else failure(stored, io_manager=Full(read))

    found = diagnosis_of(event.step_failure_data)
    assert (found.kind, found.error, found.system) == ("login", "AuthRefused", "Samsara")
    assert event.step_failure_data.user_failure_data is not None
    shown = event.step_failure_data.user_failure_data.metadata["what_to_do"].value
    assert shown == found.advice == "Check SAMSARA_API_KEY, and that it has Read Vehicles and Read Drivers"


def test_what_nobody_expected_is_diagnosed_as_that() -> None:
    found = diagnosis_of(failure(returning(KeyError("kim@example.com"))).step_failure_data)

    assert (found.kind, found.error, found.is_refusal) == ("unexpected", "KeyError", False)
    assert "kim@" not in found.text


def test_a_failure_that_is_diagnosed_already_stays_as_it_is() -> None:
    made = failure_of(PlanRefused("too old"), first="done: titles 3 created", session=7)

    event = failure(returning(made))

    assert diagnosis_of(event.step_failure_data) == Diagnosis("push", "PlanRefused", "too old", is_refusal=True)
    assert event.step_failure_data.user_failure_data is not None
    assert event.step_failure_data.user_failure_data.description == "done: titles 3 created. too old"
    assert event.step_failure_data.user_failure_data.metadata["session"].value == 7
