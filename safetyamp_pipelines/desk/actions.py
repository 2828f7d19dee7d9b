"""What people decide on the desk: each is a form of `pages.py`, admitted by `access.py`, and done by `operations/`."""

from __future__ import annotations

import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Literal

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safetyamp_pipelines.desk.pages import record_path
from safetyamp_pipelines.desk.view import Desk, desk_of, done, render
from safetyamp_pipelines.operations import decisions
from safetyamp_pipelines.operations.progress import LogProgress
from safetyamp_pipelines.operations.undo_step import Undoing, render_plan, render_undo, undo_document
from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.sync.entities.registry import entity_named
from safetyamp_pipelines.sync.model.errors import Refusal, SyncError
from safetyamp_pipelines.systems.safetyamp import safetyamp_client

log = get_logger(__name__)

MOST_DAYS = 365


def reason_of(request: Request) -> str:
    """The reason somebody gave. Raises Refusal for none."""
    reason = str(request.state.form.get("reason", "")).strip()
    if not reason:
        raise Refusal("give a reason: others read it")
    return reason


def pause(request: Request) -> Response:
    """Stop pushes between two calls."""
    desk_of(request).ledger.pause(request.state.user.name, reason_of(request))
    return done("/state", "paused")


def resume(request: Request) -> Response:
    """End the pause."""
    desk_of(request).ledger.resume(request.state.user.name)
    return done("/state", "resumed")


def approve(request: Request) -> Response:
    """Let held changes be pushed, those that were picked or a whole plan that a guard refuses; or refuse them, or ask
    again later."""
    form, desk = request.state.form, desk_of(request)
    reason, who, spec = reason_of(request), request.state.user.name, entity_named(str(form.get("entity")))
    plan, wanted, by = desk.stored(spec).plan, str(form.get("set")), decisions.Decider(who, who, reason)
    if wanted == plan.hash:
        given = decisions.approve(desk.store, desk.ledger, wanted, by, lasts=decisions.LASTS)
        return done(f"/plan/{spec.name}", "first" if given["second_person"] else "approved")
    guard, picked = str(form.get("guard")), set(form.getlist("change"))
    if wanted != plan.held_hash(guard):
        raise Refusal("the plan has changed since this page was loaded: look at the new one, then decide")
    of_guard = [held.change for held in plan.held if held.guard == guard]
    changes = [(change.source_key, change.hash) for change in of_guard if change.hash in picked]
    if not changes:
        raise Refusal("pick at least one of the held changes")
    if (how := form.get("how")) in ("refuse", "later"):
        until, keys = _until(request) if how == "later" else None, [key for key, _ in changes]
        decisions.set_aside(desk.store, desk.ledger, wanted, by, until=until, keys=keys)
        return done(f"/plan/{spec.name}", str(how))
    _, second = decisions.approve_held(desk.ledger, plan, guard, changes, by, decisions.LASTS)
    return done(f"/plan/{spec.name}", "first" if second else "approved")


def decide(request: Request) -> Response:
    """Decide about one held record: which side's values count, or which SafetyAmp record it is."""
    form, desk, who = request.state.form, desk_of(request), request.state.user.name
    spec, key, choice = entity_named(str(form.get("entity"))), str(form.get("key")), str(form.get("choice"))
    made = decisions.decide_record(
        desk.stored(spec),
        desk.ledger,
        key,
        choice,
        decisions.Decider(who, who, reason_of(request)),
        target_id=str(form.get("target", "")),
        until=_until(request) if choice == "later" else None,
    )
    return done(record_path(spec.name, key), "first" if made.get("second_person") else "decided")


def undecide(request: Request) -> Response:
    """Take the decision about a record back."""
    form, desk = request.state.form, desk_of(request)
    spec, key = entity_named(str(form.get("entity"))), str(form.get("key"))
    decisions.undo_decision(desk.ledger, spec.name, key, request.state.user.name)
    return done(record_path(spec.name, key), "undecided")


def _until(request: Request) -> datetime:
    """When to ask again. Raises Refusal for no number of days."""
    days = str(request.state.form.get("days", ""))
    if not days.isascii() or not days.isdigit() or not 1 <= int(days) <= MOST_DAYS:
        raise Refusal(f"ask again in 1 to {MOST_DAYS} days")
    return datetime.now(UTC) + timedelta(days=int(days))


def failure(request: Request) -> Response:
    """Have a refused record tried again, or dismiss it."""
    form, desk = request.state.form, desk_of(request)
    how: Literal["dismissed", "retry"] = "dismissed" if form.get("how") == "dismissed" else "retry"
    decisions.decide(desk.ledger, str(form.get("entity")), str(form.get("key")), how, datetime.now(UTC))
    return done("/queue", how)


def preview_undo(request: Request) -> Response:
    """What an undo would set back, planned against SafetyAmp as it is now."""
    desk, number = desk_of(request), request.path_params["number"]
    with closing(safetyamp_client(desk.settings)) as client:
        planned = _undoing(desk, client).plan(number)
    document = undo_document(planned, None)
    return render(
        request,
        "undo.html",
        title=f"Undo session {number}",
        document=document,
        lines=list(render_plan(planned.plan)),
        number=number,
    )


def undo(request: Request) -> Response:
    """Undo a session, in the background: it may take many minutes of the call budget. Its page shows how it ended."""
    desk, number = desk_of(request), request.path_params["number"]
    who, reason = request.state.user.name, reason_of(request)

    def work() -> None:
        lines = ["the undo stopped; the log of the desk shows why"]
        try:
            with closing(safetyamp_client(desk.settings)) as client:
                undone = _undoing(desk, client).undo(number, who, reason)
            lines = list(render_undo(undo_document(undone.planned, undone)))
        except SyncError as error:
            log.error("undo_failed", session=number, reason=str(error))
            lines = [f"the undo failed: {error}"]
        finally:
            desk.undos[number] = lines

    desk.undos[number] = ["the undo is running"]
    response = done(f"/runs/{number}", "undo")
    response.background = BackgroundTask(work)
    return response


def _undoing(desk: Desk, client: object) -> Undoing:
    return Undoing(client, desk.ledger, desk.settings, desk.store, LogProgress(), str(uuid.uuid4()))  # type: ignore[arg-type]


ROUTES = [
    Route("/pause", pause, methods=["POST"]),
    Route("/resume", resume, methods=["POST"]),
    Route("/held", approve, methods=["POST"]),
    Route("/decide", decide, methods=["POST"]),
    Route("/undecide", undecide, methods=["POST"]),
    Route("/failure", failure, methods=["POST"]),
    Route("/runs/{number:int}/undo", preview_undo),
    Route("/runs/{number:int}/undo", undo, methods=["POST"]),
]
