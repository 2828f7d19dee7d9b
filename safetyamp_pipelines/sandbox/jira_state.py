"""Two Jiras of the embedded world: their projects, fields and issues, and what people do to them. No HTTP here.

A Jira keeps its own time (`advance` moves it), so that what happens between two reads can be minutes or days apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

Kind = Literal["cloud", "data_center"]
Raw = dict[str, Any]

STATUSES = ("To Do", "In Progress", "In Review", "Done")
REGIONS = ("North", "South", "East", "West")
FIELDS: Mapping[str, tuple[str, Mapping[str, Any], Mapping[Kind, str]]] = {
    "order": ("Order no", {"type": "string"}, {"cloud": "customfield_10101", "data_center": "customfield_20501"}),
    "region": ("Region", {"type": "option"}, {"cloud": "customfield_10102", "data_center": "customfield_20502"}),
    "points": ("Story Points", {"type": "number"}, {"cloud": "customfield_10103", "data_center": "customfield_20503"}),
    "sprint": (
        "Sprint",
        {"type": "array", "items": "json"},
        {"cloud": "customfield_10020", "data_center": "customfield_20020"},
    ),
    "installed": (
        "Installed on",
        {"type": "date"},
        {"cloud": "customfield_10104", "data_center": "customfield_20504"},
    ),
    "inspected": (
        "Inspected at",
        {"type": "datetime"},
        {"cloud": "customfield_10105", "data_center": "customfield_20505"},
    ),
    "place": (
        "Place",
        {"type": "option-with-child"},
        {"cloud": "customfield_10106", "data_center": "customfield_20506"},
    ),
    "tags": (
        "Systems",
        {"type": "array", "items": "option"},
        {"cloud": "customfield_10107", "data_center": "customfield_20507"},
    ),
}
"""Custom fields: the name both Jiras show, its schema, and the id, which differs between them."""
SYSTEM_FIELDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "summary": ("Summary", {"type": "string"}),
    "description": ("Description", {"type": "string"}),
    "status": ("Status", {"type": "status"}),
    "issuetype": ("Issue Type", {"type": "issuetype"}),
    "project": ("Project", {"type": "project"}),
    "assignee": ("Assignee", {"type": "user"}),
    "reporter": ("Reporter", {"type": "user"}),
    "priority": ("Priority", {"type": "priority"}),
    "resolution": ("Resolution", {"type": "resolution"}),
    "duedate": ("Due date", {"type": "date"}),
    "resolutiondate": ("Resolved", {"type": "datetime"}),
    "labels": ("Labels", {"type": "array", "items": "string"}),
    "created": ("Created", {"type": "datetime"}),
    "updated": ("Updated", {"type": "datetime"}),
}


@dataclass(frozen=True)
class JiraSpec:
    """What a Jira begins with: its projects (key to name), issues in each, and the seed of their values."""

    projects: Mapping[str, str] = field(default_factory=lambda: {"OPS": "Operations", "TO": "Take-over"})
    issues: int = 30
    seed: int = 1


@dataclass
class JiraOptions:
    """How a Jira behaves; it is asked at every request.

    `most_per_page` caps what a page is asked for and `short_pages` gives every other page half of that; a page token
    is good for `token_uses` pages; `calls` in `period` seconds, then 429, with `Retry-After` unless `is_mute`;
    `most_histories` is where a changelog is cut; `id_by_number` reads `id > n` as "a greater number in the key".
    """

    user: str = "sync@example.com"
    token: str = "sandbox-jira-token"  # noqa: S105 - opens nothing but the sandbox
    most_per_page: int = 100
    short_pages: bool = False
    token_uses: int | None = None
    calls: int | None = None
    period: float = 1.0
    is_mute: bool = False
    most_histories: int = 40
    id_by_number: bool = False
    time_zone: str = "America/New_York"


@dataclass
class Issue:
    """One issue; `values` are by the names of FIELDS and SYSTEM_FIELDS, in the words of people."""

    id: int
    project: str
    number: int
    values: dict[str, Any]
    created: datetime
    updated: datetime
    histories: list[Raw] = field(default_factory=list)

    @property
    def key(self) -> str:
        return f"{self.project}-{self.number}"


class JiraState:
    """One Jira. Safe to use from any thread; every action is one moment."""

    def __init__(self, kind: Kind, spec: JiraSpec | None = None, options: JiraOptions | None = None) -> None:
        self.kind, self.spec, self.options = kind, spec or JiraSpec(), options or JiraOptions()
        if kind == "data_center" and options is None:
            self.options.most_per_page = 1000
        self.lock = threading.RLock()
        self.projects = dict(self.spec.projects)
        self.visible = set(self.projects)
        self.hidden_fields: set[str] = set()
        self.issues: dict[int, Issue] = {}
        self.moved_keys: dict[str, int] = {}
        self._random = Random(self.spec.seed)
        self._offset = timedelta(0)
        self._numbers = dict.fromkeys(self.projects, 0)
        self._next_id, self._next_history = 10_001, 1
        began = self.now() - timedelta(days=90)
        for number in range(self.spec.issues):
            for project in self.spec.projects:
                self._insert(project, began + timedelta(minutes=37 * number))

    def now(self) -> datetime:
        """This Jira's time, in whole milliseconds."""
        moment = datetime.now(UTC) + self._offset
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def field_id(self, name: str) -> str:
        """The id under which this Jira knows the field."""
        return FIELDS[name][2][self.kind] if name in FIELDS else name

    def apply(self, action: str, arguments: Mapping[str, Any]) -> Any:
        """Do what people do, by name. Raises ValueError for an unknown action."""
        actions: dict[str, Callable[..., Any]] = {
            "create": self.create,
            "edit": self.edit,
            "delete": self.delete,
            "move": self.move,
            "transition": self.transition,
            "hide_project": self.hide_project,
            "show_project": self.show_project,
            "hide_field": self.hide_field,
            "show_field": self.show_field,
            "advance": self.advance,
        }
        if action not in actions:
            raise ValueError(f"there is no action {action!r}; there are {', '.join(actions)}")
        with self.lock:
            return actions[action](**arguments)

    def create(self, project: str, **values: Any) -> int:
        """A new issue with random values, but for those given; its id."""
        with self.lock:
            issue = self._insert(project, self.now())
            issue.values.update(values)
            return issue.id

    def edit(self, issue: int, **values: Any) -> None:
        """Change values; each is an item of one history."""
        with self.lock:
            found = self.issues[issue]
            self._note(found, [(name, found.values.get(name), value) for name, value in values.items()])
            found.values.update(values)

    def transition(self, issue: int, status: str) -> None:
        """Put the issue into another status."""
        self.edit(issue, status=status)

    def delete(self, issue: int) -> None:
        """Delete the issue."""
        with self.lock:
            del self.issues[issue]

    def move(self, issue: int, project: str, *, touches: bool = True) -> None:
        """Move to another project: the id stays, the key changes; unless it `touches`, `updated` stays as well."""
        with self.lock:
            found = self.issues[issue]
            old = found.key
            self.moved_keys[old] = issue
            found.project, found.number = project, self._number(project)
            if touches:
                self._note(found, [("Key", old, found.key)])

    def hide_project(self, project: str) -> None:
        """Take the permission to browse it away."""
        self.visible.discard(project)

    def show_project(self, project: str) -> None:
        """Give the permission back."""
        self.visible.add(project)

    def hide_field(self, name: str) -> None:
        """A field that issues no longer show."""
        self.hidden_fields.add(self.field_id(name))

    def show_field(self, name: str) -> None:
        """Show it again."""
        self.hidden_fields.discard(self.field_id(name))

    def advance(self, **span: float) -> None:
        """Let time pass, as `minutes=10`."""
        self._offset += timedelta(**span)

    def find(self, key: str) -> Issue | None:
        """The issue of an id or key, also one it had before it was moved, if it may be seen."""
        with self.lock:
            by_key = {issue.key: issue for issue in self.issues.values()}
            found = self.issues.get(int(key)) if key.isdigit() else by_key.get(key)
            found = found or self.issues.get(self.moved_keys.get(key, 0))
            return found if found is not None and found.project in self.visible else None

    def _insert(self, project: str, at: datetime) -> Issue:
        pick, number = self._random, self._number(project)
        sprints = [{"id": n, "name": f"S{n}, [b]", "state": s} for n, s in ((4, "closed"), (5, "active"))]
        values: dict[str, Any] = {
            "summary": f"{pick.choice(['Check', 'Repair', 'Replace'])} pump {number}",
            "description": f"Line one of {number}\nLine two" if pick.random() < 0.7 else None,
            "status": pick.choice(STATUSES),
            "issuetype": pick.choice(["Task", "Bug"]),
            "assignee": pick.choice([None, "Ada Sample", "Ben Sample"]),
            "reporter": "Ada Sample",
            "priority": pick.choice(["High", "Low"]),
            "resolution": None,
            "duedate": pick.choice(["2026-12-24", None]),
            "resolutiondate": None,
            "labels": pick.sample(["hot", "cold", "wet"], k=pick.randint(0, 2)),
            "order": pick.choice([f"PO-{1000 + number}", None]),
            "region": pick.choice([*REGIONS, None]),
            "points": pick.choice([1, 2.5, 8, None]),
            "sprint": pick.choice([sprints, sprints[:1], None]),
            "installed": pick.choice(["2026-07-15", None]),
            "inspected": pick.choice(["2026-07-15T22:26:03.672-0500", None]),
            "place": pick.choice([("Hall", "Bay 2"), ("Yard", None), None]),
            "tags": pick.choice([["Water", "Air"], ["Air"], None]),
        }
        issue = Issue(self._next_id, project, number, values, at, at)
        self.issues[issue.id] = issue
        self._next_id += 1
        return issue

    def _number(self, project: str) -> int:
        self._numbers[project] = self._numbers.get(project, 0) + 1
        return self._numbers[project]

    def _note(self, issue: Issue, items: list[tuple[str, Any, Any]]) -> None:
        issue.updated = max(self.now(), issue.updated)
        changes = [
            {
                "field": FIELDS[name][0] if name in FIELDS else name,
                "fieldId": self.field_id(name),
                "fieldtype": "custom" if name in FIELDS else "jira",
                "from": None,
                "fromString": None if before is None else str(before),
                "to": None,
                "toString": None if after is None else str(after),
            }
            for name, before, after in items
        ]
        issue.histories.append({"id": str(self._next_history), "created": issue.updated, "items": changes})
        self._next_history += 1
