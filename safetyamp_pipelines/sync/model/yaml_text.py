"""The text of a YAML file as plain values, or one error with its line: bounded in size, depth and in what aliases make
of it. What the values mean is not known here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import yaml

LARGEST = 200_000
"""Characters: a file for people to edit has a few thousand."""
DEEPEST = 40
MOST_PAIRS = 5_000
"""Pairs of one mapping, with those that merges bring: an alias of aliases multiplies them."""


class NotYaml(ValueError):
    """What is wrong, and where."""

    def __init__(self, where: str, what: str) -> None:
        self.where, self.what = where, what
        super().__init__(f"{where}: {what}")


def values_of(text: str) -> Any:
    """The values; raises NotYaml."""
    if len(text) > LARGEST:
        raise NotYaml("the file", f"is over {LARGEST:,} characters")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is the safe loader, made stricter
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "the file"
        raise NotYaml(where, f"is not YAML: {getattr(error, 'problem', None) or error}") from error
    except RecursionError:
        raise NotYaml("the file", "is nested without end") from None
    except (ValueError, TypeError) as error:  # of a tagged collection, which is filled after its line was read
        raise NotYaml("the file", f"holds a value that its type does not allow ({type(error).__name__})") from None


def nodes_of(text: str) -> yaml.Node | None:
    """The nodes of a text whose values can be had, for `line_of`."""
    root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return root


def line_of(node: yaml.Node | None, place: Iterable[int | str]) -> int:
    """The line of what stands at a place below a node, or of what should hold it."""
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


class _Loader(yaml.SafeLoader):
    """The safe loader, except that a key given twice is an error: plain YAML lets the last one win silently."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.composer.ComposerError(
                problem="this is nested too deeply",
                problem_mark=self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MOST_PAIRS:
            raise yaml.constructor.ConstructorError(
                problem="the aliases of this multiply beyond use", problem_mark=node.start_mark
            )

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            # A date that no calendar has, a word tagged as a number, and whatever else is not a value of its kind.
            problem = f"this is not a value of its kind ({type(error).__name__}): put quotes around it"
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
