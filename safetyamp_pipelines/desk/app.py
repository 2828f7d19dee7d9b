"""The desk put together: pages behind `access.py`, endpoints for machines beside them."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route

from safetyamp_pipelines.desk import actions, jira_pages, pages
from safetyamp_pipelines.desk.access import Access, AccessRules
from safetyamp_pipelines.desk.health import machine_routes
from safetyamp_pipelines.desk.view import STYLE, Desk, render
from safetyamp_pipelines.sync.model.errors import SyncError


def build_desk(desk: Desk, *, with_machines: bool) -> Starlette:
    """The app."""
    rules = AccessRules(desk.settings, desk.read_only)
    inside = Starlette(
        routes=[
            *pages.ROUTES,
            *actions.ROUTES,
            *(jira_pages.ROUTES if desk.settings.has_jira else ()),
            Route("/desk.css", _style),
        ],
        middleware=[Middleware(Access, rules=rules, ledger=desk.ledger)],
        exception_handlers={SyncError: _refused, 404: _not_found},
    )
    inside.state.desk = desk
    outside = [*machine_routes(desk)] if with_machines else []
    return Starlette(routes=[*outside, Mount("/", inside)])


def build_machines(desk: Desk) -> Starlette:
    """The endpoints for machines alone, for a port of their own."""
    return Starlette(routes=[*machine_routes(desk)])


def _style(request: Request) -> Response:  # noqa: ARG001 - the same for all
    return FileResponse(STYLE, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


def _refused(request: Request, error: Exception) -> Response:
    """A page with the error's message."""
    return render(request, "message.html", title="Not done", text=str(error), status=409)


def _not_found(request: Request, _error: Exception) -> Response:
    return render(request, "message.html", title="Not found", text="There is no such page.", status=404)
