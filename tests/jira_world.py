"""Two small Jiras behind their real HTTP, the mapping their tests read by, and short ways to read and to look."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from safetyamp_pipelines.jira.field_mapping import parse_mapping
from safetyamp_pipelines.jira.partitions import JiraSession, Outcome
from safetyamp_pipelines.sandbox import FaultRule, Sandbox, WorldSpec
from safetyamp_pipelines.sandbox.jira_state import FIELDS, JiraState
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import SyncError
from safetyamp_pipelines.systems.http.retry import RetryPolicy

QUICK = RetryPolicy(attempts=6, base=0.01, window=0.3)
NOBODY = WorldSpec(employees=1, jobs=1, vehicles=1)
Row = dict[str, Any]


def both(name: str, **more: Any) -> dict[str, Any]:
    """The sources of a custom field, whose id differs between the two instances."""
    return {
        instance: {"field": FIELDS[name][2][instance], **more}  # type: ignore[index]
        for instance in ("cloud", "data_center")
    }


COLUMNS: dict[str, Any] = {
    "summary": {"type": "text", "field": "summary"},
    "status": {"type": "text", "field": "status"},
    "description": {"type": "text", "field": "description"},
    "project_name": {"type": "text", "field": "project.name"},
    "assignee": {"type": "text", "field": "assignee"},
    "labels": {"type": "list", "field": "labels"},
    "order_no": {"type": "text", "sources": both("order")},
    "order_number": {"type": "integer", "sources": both("order")},
    "region": {"type": "text", "sources": both("region")},
    "points": {"type": "number", "sources": both("points")},
    "sprint": {"type": "text", "sources": both("sprint", pick="active")},
    "installed": {"type": "date", "sources": both("installed")},
    "inspected": {"type": "datetime", "sources": both("inspected")},
    "place": {"type": "text", "sources": both("place")},
    "systems": {"type": "json", "sources": both("tags")},
    "done_at": {"type": "datetime", "when": {"to": "Done", "which": "last"}},
}
MAPPING = parse_mapping({"columns": COLUMNS})


def errors(outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """Why partitions or instances could not be read."""
    return {key: str(found) for key, found in outcomes.items() if isinstance(found, SyncError)}


@dataclass
class Jiras:
    """The sandbox, the settings that lead to it, and what is in the tables."""

    box: Sandbox
    settings: Settings

    def __post_init__(self) -> None:
        self.cloud: JiraState = self.box.jiras["jira_cloud"]
        self.data_center: JiraState = self.box.jiras["jira_data_center"]

    def __getitem__(self, instance: str) -> JiraState:
        return self.box.jiras[f"jira_{instance}"]

    def with_projects(self, *projects: str) -> Settings:
        """The same settings, reading only these projects."""
        about = [{**one, "projects": projects} for one in json.loads(self.box.environment["JIRA_INSTANCES"])]
        return self.settings.model_copy(update={"jira_instances": SecretStr(json.dumps(about))})

    def session(self) -> JiraSession:
        return JiraSession(self.settings, run_id="a run", policy=QUICK)

    @cached_property
    def eyes(self) -> JiraSession:
        """A session that stays open, to look at the tables between the runs."""
        return self.session()

    def map(self, columns: Mapping[str, Any]) -> None:
        self.eyes.book.save(parse_mapping({"columns": dict(columns)}), "Ada", "as the test wants it")

    def read(self, *kinds: str, keys: tuple[str, ...] = (), **options: Any) -> dict[str, Outcome]:
        """Read these kinds one after the other; the outcomes of the last."""
        found: dict[str, Outcome] = {}
        with self.session() as session:
            every, errors = session.refresh_partitions()
            for kind in kinds or ("issues",):
                found = session.read(kind, keys or every, **options)  # type: ignore[arg-type]
            return {**found, **errors}

    def rows(self, instance: str | None = None) -> dict[tuple[str, int], Row]:
        """The rows of `jira_issues` by instance and id, with the columns of the mapping in force."""
        rows = self.eyes.book.rows(sa.select(self.eyes.active().table))
        return {(r["instance"], r["issue_id"]): r for r in rows if instance in (None, r["instance"])}

    def row(self, instance: str, issue: int) -> Row:
        return self.rows()[instance, issue]

    def requests(self, instance: str, since: int = 0) -> list[Any]:
        return self.box.requests(f"jira_{instance}", since)

    def fault(self, **rule: Any) -> None:
        self.box.faults.add(FaultRule(**rule))


MakeJiras = Callable[..., Jiras]
