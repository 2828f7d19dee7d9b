"""From the text of a sync.yaml to the model; all problems are reported at once, in the terms of the file. No files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.sync.model.yaml_text import NotYaml, line_of, nodes_of, values_of
from safetyamp_pipelines.sync.rules.config import Place, SyncConfig

MOST_PROBLEMS = 50


class SyncConfigError(Refusal):
    """sync.yaml is wrong. `problems` are pairs of where (`employees.timezone`, or a line) and what is wrong there."""

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{where}: {what}" for where, what in problems))


def parse_sync_config(text: str) -> SyncConfig:
    """The configuration that a sync.yaml text describes; SyncConfigError with every problem in it at once."""
    try:
        data = values_of(text)
    except NotYaml as error:
        raise SyncConfigError(((error.where, error.what),)) from error
    if data is None:
        return SyncConfig()
    try:
        config: SyncConfig = SyncConfig.model_validate(data)
    except ValidationError as error:
        raise _with_lines(text, ((one["loc"], _problem_text(one)) for one in error.errors())) from error
    if problems := tuple(config.problems()):
        raise _with_lines(text, problems)
    return config


def _with_lines(text: str, problems: Iterable[tuple[Place, str]]) -> SyncConfigError:
    """The error, each problem with the line on which it, or what should hold it, stands."""
    root, found = nodes_of(text), list(problems)
    listed = [(_where(place), f"{what} (line {line_of(root, place)})") for place, what in found[:MOST_PROBLEMS]]
    more = [("the file", f"has {len(found) - MOST_PROBLEMS} problems more")] if len(found) > MOST_PROBLEMS else []
    return SyncConfigError((*listed, *more))


def _where(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in loc if step != "[key]") or "the file"


def _problem_text(error: ErrorDetails) -> str:
    """One problem in terms of the YAML file, not of the library that found it."""
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"is not a known key here; known are {', '.join(_known_keys(error['loc'][:-1]))}"
    plain = {
        "tuple_type": "must be a list, such as [1]",
        "string_type": "must be text: put quotes around numbers, dates and words such as NO",
        "invalid_key": "is not a known key here: keys are names",
        "dict_type": "must be a section of keys and values",
        "model_type": "must be a section of keys and values",
        "model_attributes_type": "must be a section of keys and values",
        "string_pattern_mismatch": f"must match {error.get('ctx', {}).get('pattern')}",
        "too_short": "must not be empty",
    }
    message = plain.get(kind, error["msg"])
    return message.removeprefix("Value error, ").replace("Input should", "must").replace("a valid ", "a ")


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    """The keys of the section at `loc`."""
    section: type[BaseModel] = SyncConfig
    for step in loc:
        if isinstance(step, int):  # a place in a list: its sections are all of one kind
            continue
        annotation = section.model_fields[step].annotation
        annotation = get_args(annotation)[0] if get_origin(annotation) is tuple else annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        section = annotation
    return [field.alias or name for name, field in section.model_fields.items()]
