"""Which Jira instances there are, from the settings. Where nothing is configured there are none, and no Jira."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from safetyamp_pipelines.settings.model import Problem, Settings, SettingsError, text_of
from safetyamp_pipelines.settings.value_types import BaseUrl, PositiveSeconds, Token

Kind = Literal["cloud", "data_center"]
LEGACY = (1, 2)
"""The numbers of the old dashboard's variables, JIRA_URL_1 and JIRA_URL_2."""


class Instance(BaseModel):
    """One Jira. With a `user` the token is sent as Basic, without as bearer; without `kind` the server is asked.

    `projects` are the keys to read, all visible ones without; `calls` in `period` seconds is the budget.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    url: BaseUrl
    token: Token
    user: str | None = None
    projects: tuple[str, ...] = ()
    kind: Kind | None = None
    calls: Annotated[int, Field(ge=1)] = 600
    period: PositiveSeconds = 60.0


def instances_of(settings: Settings) -> list[Instance]:
    """The configured instances. Raises SettingsError naming the variable, the instance and the field."""
    variable, entries = _entries(settings)
    tokens = _json("JIRA_TOKENS", settings.jira_tokens.get_secret_value()) if settings.jira_tokens else {}
    found, problems = [], []
    for place, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise _wrong(variable, f"entry {place} is not an object")
        name = str(entry.get("name") or f"number {place}")
        if "token" not in entry and isinstance(tokens, dict) and name in tokens:
            entry = {**entry, "token": tokens[name]}
        try:
            found.append(Instance.model_validate(entry))
        except ValidationError as error:
            problems += [
                Problem(variable, f"{name}: {one['loc'][0]} {one.get('ctx', {}).get('what', one['msg'])}", _advice(one))
                for one in error.errors(include_input=False, include_url=False)
            ]
    names = [instance.name for instance in found]
    problems += [
        Problem(variable, f"{name} is there twice", "Rename one") for name in set(names) if names.count(name) > 1
    ]
    if problems:
        raise SettingsError(problems)
    return found


def _entries(settings: Settings) -> tuple[str, list[Any]]:
    """The variable that names the instances, and its entries."""
    if settings.jira_instances is not None:
        variable, text = "JIRA_INSTANCES", settings.jira_instances.get_secret_value()
    elif settings.jira_config_file is not None:
        variable, text = "JIRA_CONFIG_FILE", text_of(settings.jira_config_file, "JIRA_CONFIG_FILE")
    else:
        return "JIRA_URL_n", [
            {"name": f"instance_{n}", "url": url, "user": getattr(settings, f"jira_username_{n}"), "token": password}
            for n in LEGACY
            if (url := getattr(settings, f"jira_url_{n}")) is not None
            and (password := getattr(settings, f"jira_password_{n}") or "") is not None
        ]
    entries = _json(variable, text)
    if not isinstance(entries, list):
        raise _wrong(variable, "is not a list")
    return variable, entries


def _json(variable: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise _wrong(variable, "is not JSON") from None


def _wrong(variable: str, what: str) -> SettingsError:
    return SettingsError([Problem(variable, what, "docs/jira.md shows one")])


def _advice(error: Any) -> str:
    lacking = "Give it there, or in JIRA_TOKENS as {name: token}"
    return str(error.get("ctx", {}).get("do", lacking if error["loc"] == ("token",) else "docs/jira.md shows one"))
