"""The pages: Find, a record, Plan, Queue, Runs, Calls, State. They only show; decisions are in `actions.py`."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from safetyamp_pipelines.desk.view import Desk, desk_of, render
from safetyamp_pipelines.operations.decisions import question_of
from safetyamp_pipelines.operations.explain.explain import explain_stored
from safetyamp_pipelines.operations.explain.lines import differs
from safetyamp_pipelines.operations.explain.search import names_of, search
from safetyamp_pipelines.operations.plan_step import Stored
from safetyamp_pipelines.operations.plan_view import choices_of, filtered, plan_view
from safetyamp_pipelines.operations.queue import queue_of
from safetyamp_pipelines.operations.reports.csv_table import csv_of
from safetyamp_pipelines.operations.reports.daily import daily_reports
from safetyamp_pipelines.operations.status import history_of, session_of, status_of
from safetyamp_pipelines.sync.entities.registry import ENTITIES, entity_named
from safetyamp_pipelines.sync.model.errors import Refusal, SnapshotError

MOST_SESSIONS = 50
RUNS_BACK = 20


def find(request: Request) -> Response:
    """One box for everything. What was typed is in the form, never in a URL."""
    text = str(request.state.form.get("text", "")).strip()
    hits = search(desk_of(request).all_stored(), text) if text else []
    if len([hit for hit in hits if hit.rank == 0]) == 1 and hits[0].key:
        return RedirectResponse(record_path(hits[0].entity, hits[0].key), 303)
    return render(request, "find.html", title="Find", text=text, hits=hits, path=record_path)


def record(request: Request) -> Response:
    """Everything known of one record. Who looked at which person is recorded."""
    desk, spec = desk_of(request), entity_named(request.path_params["entity"])
    stored = desk.stored(spec)
    found = explain_stored(stored, request.path_params["key"], desk.ledger, RUNS_BACK)
    if spec.is_personal:
        desk.ledger.log_look(request.state.user.name, spec.name, found["key"])
    fields = found.get("fields", [])
    is_there = found.get("safetyamp_id") is not None
    differing = [field for field in fields if is_there and differs(field)]
    return render(
        request,
        "record.html",
        title=f"{spec.noun.capitalize()} {found['key']}",
        spec=spec,
        found=found,
        name=names_of(stored).get(found["key"], ""),
        differing=differing,
        alike=[field for field in fields if field not in differing],
        is_there=is_there,
        now=status_of(desk.ledger, desk.now()),
        question=_question(desk, stored, found["key"]),
    )


def _question(desk: Desk, stored: Stored, key: str) -> dict[str, Any] | None:
    """What there is to decide about the record; None for nothing."""
    try:
        return question_of(stored, desk.ledger, key)
    except Refusal:
        return None


def plan(request: Request) -> Response:
    """What would change in one entity, held changes first."""
    desk = desk_of(request)
    name = request.path_params.get("entity") or next(iter(desk.all_stored()), ENTITIES[0].name)
    spec = entity_named(name)
    try:
        view = plan_view(desk.stored(spec))
    except SnapshotError as missing:
        return render(request, "message.html", title="Plan", text=str(missing))
    if spec.is_personal:
        desk.ledger.log_look(request.state.user.name, spec.name, "*")
    wanted = {part: request.query_params.get(part, "") for part in ("verdict", "field", "group")}
    return render(
        request,
        "plan.html",
        title=f"Plan of {spec.name}",
        view=filtered(view, **wanted),
        pushed=any(one["run_id"] == desk.stored(spec).run_id for one in history_of(desk.ledger, 1, spec.name)),
        choices=choices_of(view),
        wanted=wanted,
        specs=ENTITIES,
        path=record_path,
    )


def queue(request: Request) -> Response:
    """What waits for people, by owner."""
    desk = desk_of(request)
    items = queue_of(desk.all_stored(), desk.ledger, desk.now())
    return render(request, "queue.html", title="Queue", items=items, now=desk.now(), path=record_path)


def runs(request: Request) -> Response:
    """The newest sessions."""
    sessions = history_of(desk_of(request).ledger, MOST_SESSIONS)
    return render(request, "runs.html", title="Runs", sessions=sessions)


def session(request: Request) -> Response:
    """One session with its changes, and the link to undo it."""
    desk = desk_of(request)
    found = session_of(desk.ledger, request.path_params["number"])
    return render(
        request,
        "session.html",
        title=f"Session {found['id']}",
        session=found,
        calls=desk.ledger.calls_of(found["run_id"]),
        undo=desk.undos.get(found["id"], ()),
        path=record_path,
    )


def calls(request: Request) -> Response:
    """The newest calls: what was asked, how it ended, how long it took and waited."""
    return render(request, "calls.html", title="Calls", calls=desk_of(request).ledger.calls_of())


def report(request: Request) -> Response:
    """The changes of one day as a file for spreadsheets; it holds no values."""
    try:
        day = date.fromisoformat(request.path_params["day"])
    except ValueError:
        raise Refusal("a report is of one day, such as 2026-11-20") from None
    desk = desk_of(request)
    reports = daily_reports(desk.ledger, day, day, desk.config.employees.timezone)
    headers = {"Content-Disposition": f'attachment; filename="changes-{day}.csv"'}
    return Response(csv_of(reports), media_type="text/csv", headers=headers)


def state(request: Request) -> Response:
    """In step or not, who is pushing, how far the push is, and what it waits for."""
    desk = desk_of(request)
    return render(
        request,
        "state.html",
        title="State",
        found=status_of(desk.ledger, desk.now(), desk.settings),
    )


def record_path(entity: str, key: str) -> str:
    """The path of a record's page."""
    return f"/records/{entity}/{quote(key, safe='/')}"


ROUTES = [
    Route("/", find),
    Route("/find", find, methods=["POST"]),
    Route("/records/{entity}/{key:path}", record),
    Route("/plan", plan),
    Route("/plan/{entity}", plan),
    Route("/queue", queue),
    Route("/runs", runs),
    Route("/runs/{number:int}", session),
    Route("/calls", calls),
    Route("/reports/{day}.csv", report),
    Route("/state", state),
]
