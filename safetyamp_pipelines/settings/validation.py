"""How a wrong setting is told: the variable, what is wrong with it, what to do. No value is read or checked here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from safetyamp_pipelines.sync.model.errors import Refusal

if TYPE_CHECKING:
    from safetyamp_pipelines.settings.model import Settings


@dataclass(frozen=True)
class Problem:
    """One thing a person has to correct. `what` never carries the value of a secret."""

    variable: str
    what: str
    do: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.what}. {self.do}."


class SettingsError(Refusal):
    """The settings or sync.yaml are wrong; `problems` holds everything that is, and str() one line for each.

    `usable` are the settings with the default for every wrong value, where that works: to tell people of it, no more.
    """

    def __init__(self, problems: Iterable[Problem], usable: Settings | None = None) -> None:
        self.problems, self.usable = tuple(problems), usable
        super().__init__("\n".join(str(problem) for problem in self.problems))


def wrong(what: str, do: str) -> PydanticCustomError:
    """The error a validator raises: it carries the words for `Problem` through pydantic, and not the value."""
    return PydanticCustomError("wrong_setting", "{what}", {"what": what, "do": do})


def field_problems(error: ValidationError) -> dict[str, tuple[str, str]]:
    """Per field what is wrong and what to do. A default that waits for another wrong field is no problem of its own."""
    found: dict[str, tuple[str, str]] = {}
    for one in error.errors(include_input=False, include_url=False):
        if one["type"] == "default_factory_not_called":
            continue
        context = one.get("ctx", {})
        what = context.get("what", one["msg"].replace("Input should", "must"))
        found[str(one["loc"][0])] = (what, context.get("do", "Correct it"))
    return found
