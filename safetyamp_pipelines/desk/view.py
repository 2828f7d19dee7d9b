"""What every page shares: the desk's ledger, store and rules, what is kept of the newest run, and rendering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from safetyamp_pipelines.ledger.ledger import Ledger
from safetyamp_pipelines.operations.explain.lines import POLICIES
from safetyamp_pipelines.operations.local_time import age, local_time
from safetyamp_pipelines.operations.plan_step import Stored, load_stored, newest_plan
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES
from safetyamp_pipelines.sync.model.errors import SnapshotError
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.model.text import displayed_lines
from safetyamp_pipelines.sync.rules.config import SyncConfig
from safetyamp_pipelines.systems.snapshots.store import SnapshotStore

STYLE = Path(__file__).with_name("desk.css")
PAGES = (
    ("/", "Find"),
    ("/plan", "Plan"),
    ("/queue", "Queue"),
    ("/runs", "Runs"),
    ("/calls", "Calls"),
    ("/state", "State"),
)


@dataclass
class Desk:
    """The parts that pages work on. Safe for several threads."""

    settings: Settings
    ledger: Ledger
    store: SnapshotStore
    read_only: bool = False
    undos: dict[int, list[str]] = field(default_factory=dict, init=False)
    """By session, what the last undo of it from this desk has done, or why it failed, in lines."""
    _kept: dict[str, tuple[tuple[str, ...], Stored]] = field(default_factory=dict, init=False)
    _loading: Lock = field(default_factory=Lock, init=False)

    @property
    def config(self) -> SyncConfig:
        """The rules of sync.yaml."""
        return self.settings.sync_config_now()

    @property
    def timezone(self) -> str:
        """The company's time zone, in which all times are shown."""
        return self.config.schedule.timezone

    def now(self) -> datetime:
        """This moment."""
        return datetime.now(UTC)

    def stored(self, spec: EntitySpec) -> Stored:
        """What the newest run stored of an entity; cached until there is a newer one. Raises SnapshotError for none."""
        refs = [newest_plan(self.store, spec.name), self.store.newest(f"safetyamp/{spec.table}")]
        version = tuple(ref.path if ref is not None else "" for ref in refs)
        with self._loading:
            kept = self._kept.get(spec.name)
            if kept is None or kept[0] != version:
                kept = self._kept[spec.name] = (version, load_stored(spec, self.store, self.ledger, self.config))
            return kept[1]

    def all_stored(self) -> dict[str, Stored]:
        """By entity, those that were ever planned."""
        found = {}
        for spec in ENTITIES:
            try:
                found[spec.name] = self.stored(spec)
            except SnapshotError:
                continue
        return found


def desk_of(request: Request) -> Desk:
    """The desk a request is made to."""
    desk = request.app.state.desk
    assert isinstance(desk, Desk)
    return desk


def render(request: Request, template: str, *, title: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A page."""
    desk = desk_of(request)
    page = TEMPLATES.get_template(template)
    user = request.state.user
    text = page.render(
        title=title,
        pages=(*PAGES, ("/jira", "Jira")) if desk.settings.has_jira else PAGES,
        here=request.url.path,
        user=user,
        token=request.state.form_token,
        local=lambda moment: local_time(moment, desk.timezone),
        notice=NOTICES.get(request.query_params.get("done", "")),
        **context,
    )
    return HTMLResponse(text, status)


def done(path: str, notice: str) -> RedirectResponse:
    """Back to a page after a decision, which then says what was done; loading it again decides nothing twice."""
    assert notice in NOTICES
    mark = "&" if "?" in path else "?"
    return RedirectResponse(f"{path}{mark}done={notice}", 303)


NOTICES: Mapping[str, str] = {
    "approved": "Approved. The next sync pushes these changes.",
    "first": "Approved. A second person must approve these changes too, logged in as themselves.",
    "refuse": "Refused. Nobody is asked again until they change.",
    "later": "Put off. You are asked again then.",
    "decided": "Decided. The next sync follows it.",
    "undecided": "The decision is withdrawn.",
    "paused": "Syncing is paused.",
    "resumed": "Syncing is resumed.",
    "retry": "The next sync tries it again.",
    "dismissed": "Dismissed. It is not tried again until its cause changes.",
    "undo": "The undo has begun. Load this page again to see how it ended.",
    "saved": "Saved. The next read fills what is new.",
    "gone": "Approved. The next nightly presence check marks these issues as gone.",
    "reading": "Done. Reading Jira stops between two pages, or continues.",
}
"""The message of a page after a decision, by the word in its URL."""


def value(found: Any) -> str:
    """A value as people read it."""
    if found is None or found == "":
        return "nothing"
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, list | tuple):
        return ", ".join(map(value, found))
    return str(found)


def _visible(found: Any) -> Any:
    """Text that is not our own markup, with what misleads a reader escaped."""
    return displayed_lines(found) if isinstance(found, str) and not isinstance(found, Markup) else found


TEMPLATES = Environment(
    loader=PackageLoader("safetyamp_pipelines.desk"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    finalize=_visible,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["value"] = value
TEMPLATES.globals.update(entities=BY_NAME, policies=POLICIES, age=age)
