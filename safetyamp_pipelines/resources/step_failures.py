"""The diagnosis of a failed step, set where its error is caught and carried in the metadata of its failure."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData
from dagster_shared.error import SerializableErrorInfo

from safetyamp_pipelines.operations.diagnosis import Diagnosis, diagnose
from safetyamp_pipelines.settings.logs import get_logger

Function = TypeVar("Function", bound=Callable[..., Any])
DIAGNOSIS = "diagnosis"
BY_CHECK = "DagsterAssetCheckFailedError"
BY_INTERRUPT = {"DagsterExecutionInterruptedError", "KeyboardInterrupt"}
"""What a step reports that was asked to stop: by its node, or by Dagster after the longest time a run may take."""

log = get_logger(__name__)


def failure_of(error: Exception, *, first: str = "", **metadata: Any) -> dg.Failure:
    """The failure of a step for this error, to be raised from it; `first` is what it did all the same. It is not
    retried: the next run plans anew."""
    found = diagnose(error)
    if found.kind == "unexpected":
        log.debug("unexpected", exc_info=error)
    advice = {"what_to_do": found.advice} if found.advice else {}
    metadata = {**metadata, **advice, DIAGNOSIS: dg.MetadataValue.json(found.as_json())}
    return dg.Failure(f"{first}. {found.text}" if first else found.text, metadata=metadata, allow_retries=False)


def diagnosed(function: Function) -> Function:
    """The compute function of an asset, a check or an op, whose errors end as diagnosed failures."""
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def generated(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with _caught():
                yield from function(*args, **kwargs)

        return generated  # type: ignore[return-value]

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        with _caught():
            return function(*args, **kwargs)

    return called  # type: ignore[return-value]


def diagnosis_of(failure: StepFailureData) -> Diagnosis:
    """The diagnosis that a step's failure carries, or what Dagster itself says of it."""
    data = failure.user_failure_data
    found = data.metadata.get(DIAGNOSIS) if data is not None else None
    if isinstance(found, dg.JsonMetadataValue) and isinstance(found.value, dict):
        return Diagnosis.from_json(found.value)
    return diagnosis_of_error(failure.error)


def diagnosis_of_error(error: SerializableErrorInfo | None) -> Diagnosis:
    """An error of Dagster's own by its class alone, since its text may hold anything."""
    names = list(_class_names(error)) or ["unknown error"]
    if names[0] == BY_CHECK:
        return Diagnosis(
            "check", names[0], "a blocking check failed: its metadata in the run says why", is_refusal=True
        )
    if BY_INTERRUPT & set(names):
        return Diagnosis("interrupted", names[0], "interrupted")
    return Diagnosis("unexpected", names[-1], f"an error of the kind {names[-1]}")


def _class_names(error: SerializableErrorInfo | None) -> Iterator[str]:
    while error is not None:
        yield error.cls_name or "unknown error"
        error = error.cause


@contextmanager
def _caught() -> Iterator[None]:
    try:
        yield
    except (dg.Failure, dg.DagsterError):
        raise
    except Exception as error:
        raise failure_of(error) from error
