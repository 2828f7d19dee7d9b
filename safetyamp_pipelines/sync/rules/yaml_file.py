"""From the text of a sync.yaml to the model, with every problem told at once in the words of its writer. No files."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.sync.rules.config import Place, SyncConfig


class SyncConfigError(Refusal):
    """sync.yaml is wrong. `problems` are pairs of where (`employees.timezone`, or a line) and what is wrong there."""

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{where}: {what}" for where, what in problems))


def parse_sync_config(text: str) -> SyncConfig:
    """The configuration that a sync.yaml text describes; SyncConfigError with every problem in it at once."""
    try:
        data = yaml.load(text, Loader=_OnceEachLoader)  # noqa: S506 - it is the safe loader, made stricter
    except RecursionError:
        raise SyncConfigError((("the file", "is nested without end"),)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "the file"
        raise SyncConfigError(((where, f"is not YAML: {getattr(error, 'problem', None) or error}"),)) from error
    except (ValueError, TypeError) as error:  # of a tagged collection, which is filled after its line was read
        raise SyncConfigError(
            (("the file", f"holds a value that is none of its kind ({type(error).__name__})"),)
        ) from None
    if data is None:
        return SyncConfig()
    try:
        config: SyncConfig = SyncConfig.model_validate(data)
    except ValidationError as error:
        raise _with_lines(text, ((one["loc"], _what(one)) for one in error.errors())) from error
    if problems := tuple(config.problems()):
        raise _with_lines(text, problems)
    return config


def _with_lines(text: str, problems: Iterable[tuple[Place, str]]) -> SyncConfigError:
    """The error, each problem with the line on which it, or what should hold it, stands."""
    root = yaml.compose(text, Loader=_OnceEachLoader)
    return SyncConfigError(tuple((_where(place), f"{what} (line {_line(root, place)})") for place, what in problems))


def _line(node: yaml.Node | None, place: Place) -> int:
    if node is None:
        return 1
    mark = node.start_mark
    for step in place:
        if isinstance(node, yaml.MappingNode):
            key, value = next(((k, v) for k, v in node.value if k.value == str(step)), (None, None))
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            key = value = node.value[step]
        else:
            break
        if key is None or value is None:
            break
        mark, node = key.start_mark, value
    return int(mark.line) + 1


class _OnceEachLoader(yaml.SafeLoader):
    """The safe loader, except that a key given twice is an error: plain YAML lets the last one win silently."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            # A date that no calendar has, a word tagged as a number, and whatever else is no value of its kind.
            problem = f"this is no value of its kind ({type(error).__name__}): put quotes around it"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if str(key_node.value) in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key_node.value} is given twice", problem_mark=key_node.start_mark
                )
            seen.add(str(key_node.value))
        return super().construct_mapping(node, deep)


def _where(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in loc if step != "[key]") or "the file"


def _what(error: ErrorDetails) -> str:
    """One problem in the words of someone who edits YAML, not of the library that found it."""
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
