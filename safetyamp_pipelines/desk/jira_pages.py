"""Jira on the desk: pages, and the read API of the dashboard, behind the desk's own access."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from safetyamp_pipelines.desk.actions import reason_of
from safetyamp_pipelines.desk.view import desk_of, done, render
from safetyamp_pipelines.jira import questions
from safetyamp_pipelines.jira.book import JiraBook, open_book
from safetyamp_pipelines.jira.discovery import find_fields, preview, suggest_fields
from safetyamp_pipelines.jira.field_mapping import MappingError, read_mapping
from safetyamp_pipelines.jira.partitions import JiraSession
from safetyamp_pipelines.operations.decisions import Decider
from safetyamp_pipelines.sync.model.errors import Refusal, SyncError

MOST_RUNS, PAGE = 100, 50


@contextmanager
def _book(request: Request) -> Iterator[JiraBook]:
    with closing(open_book(desk_of(request).settings)) as book:
        yield book


def state(request: Request) -> Response:
    """The partitions, running reads, the last reads and the statistics."""
    with _book(request) as book:
        found = questions.status_of(book, datetime.now(UTC))
        runs, stats = questions.history_of(book, MOST_RUNS), questions.statistics_of(book, datetime.now(UTC))
    return render(request, "jira_state.html", title="Jira", found=found, runs=runs, stats=stats)


def issues(request: Request) -> Response:
    """Search and pages over the table."""
    wanted = _wanted(request)
    with _book(request) as book:
        page = questions.issues_of(book, **wanted)
        names = list(book.active_or_refuse().mapping.columns)[:4]
    return render(request, "jira_issues.html", title="Issues", page=page, wanted=wanted, names=names)


def issue(request: Request) -> Response:
    """One issue, and where each column came from. Who looked is recorded, since issues name people."""
    key = request.path_params["key"]
    with _book(request) as book:
        found = questions.issue_of(book, key, request.query_params.get("instance"))
    desk_of(request).ledger.log_look(request.state.user.name, "jira", key)
    return render(request, "jira_issue.html", title=f"{found['instance']} {found['issue_key']}", found=found)


def mapping(request: Request) -> Response:
    """The mapping, step by step: find a field, have one suggested, preview on live issues, save."""
    form = request.state.form
    text, found, problem = str(form.get("text", "")), None, ""
    term, column = request.query_params.get("term", ""), request.query_params.get("column", "")
    with JiraSession(desk_of(request).settings, run_id=str(uuid.uuid4())) as session:
        active = session.book.active()
        catalogue = session.book.catalogue()
        try:
            fields = find_fields(catalogue, term) if term else []
            if text:
                found = preview(session, read_mapping(text), session.partition_keys())
        except (MappingError, SyncError) as error:
            fields, problem = [], str(error)
        versions = session.book.versions()
    return render(
        request,
        "jira_mapping.html",
        title="Jira mapping",
        text=text or yaml.safe_dump(active.mapping.document(), sort_keys=False),
        version=active.version,
        fields=fields,
        suggested=suggest_fields(catalogue, column) if column else {},
        term=term,
        column=column,
        found=found,
        problem=problem,
        versions=versions,
    )


def save(request: Request) -> Response:
    """Save the mapping as the next version."""
    form = request.state.form
    with _book(request) as book:
        book.save(read_mapping(str(form.get("text", ""))), request.state.user.name, str(form.get("reason", "")))
    return done("/jira/mapping", "saved")


def pause(request: Request) -> Response:
    """Stop reads between two pages, or resume them."""
    form, who = request.state.form, request.state.user.name
    with _book(request) as book:
        if form.get("how") == "resume":
            book.resume(who)
        else:
            book.pause(who, str(form.get("reason", "")))
    return done("/jira", "reading")


def approve(request: Request) -> Response:
    """Let held issues be marked gone, all of a partition or those that were picked."""
    form, who, reason = request.state.form, request.state.user.name, reason_of(request)
    wanted, keys, ledger = str(form.get("set", "")), form.getlist("key"), desk_of(request).ledger
    with _book(request) as book:
        given = book.approve_gone(ledger, wanted, Decider(who, who, reason), keys) if keys else None
    if given is None:
        raise Refusal("pick held issues; where others are held now, load the page again")
    return done("/jira", "gone")


def _wanted(request: Request) -> dict[str, Any]:
    asked = request.query_params
    limit = asked.get("limit", str(PAGE))
    if not limit.isdecimal():
        raise Refusal("limit is a number")
    return {
        "q": asked.get("q", ""),
        "instance": asked.get("instance") or None,
        "project": asked.get("project") or None,
        "gone": asked.get("gone") in ("1", "true", "on"),
        "limit": int(limit),
        "after": asked.get("after") or None,
    }


def _answer(ask: Callable[[JiraBook, Request], Any]) -> Callable[[Request], Response]:
    """An answer as JSON; what cannot be answered is a 404 with its reason."""

    def endpoint(request: Request) -> Response:
        try:
            with _book(request) as book:
                return JSONResponse(ask(book, request))
        except Refusal as refused:
            return JSONResponse({"error": str(refused)}, 404)

    return endpoint


def _one(book: JiraBook, request: Request) -> Any:
    return questions.issue_of(book, request.path_params["key"], request.query_params.get("instance"))


API: dict[str, Callable[[JiraBook, Request], Any]] = {
    "/api/jira/issues": lambda book, request: questions.issues_of(book, **_wanted(request)),
    "/api/jira/issues/{key}": _one,
    "/api/jira/history": lambda book, _: {"reads": questions.history_of(book, MOST_RUNS)},
    "/api/jira/stats": lambda book, _: questions.statistics_of(book, datetime.now(UTC)),
    "/api/jira/status": lambda book, _: questions.status_of(book, datetime.now(UTC)),
}
ROUTES = [
    Route("/jira", state),
    Route("/jira/issues", issues),
    Route("/jira/issues/{key}", issue),
    Route("/jira/mapping", mapping, methods=["GET", "POST"]),
    Route("/jira/mapping/save", save, methods=["POST"]),
    Route("/jira/pause", pause, methods=["POST"]),
    Route("/jira/held", approve, methods=["POST"]),
    *(Route(path, _answer(ask)) for path, ask in API.items()),
]
