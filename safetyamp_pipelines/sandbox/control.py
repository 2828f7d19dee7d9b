"""The sandbox's control door: look at its state and its requests, inject faults, change the sources, over JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from safetyamp_pipelines.sandbox.experiments import experiment
from safetyamp_pipelines.sandbox.faults import FaultBook, FaultRule
from safetyamp_pipelines.sandbox.jira_state import JiraState
from safetyamp_pipelines.sandbox.requestlog import RequestRecord
from safetyamp_pipelines.sandbox.safetyamp_state import SafetyAmpState
from safetyamp_pipelines.sandbox.world_changes import Sources


class Controlled(Protocol):
    """What the door opens on: a running sandbox."""

    environment: dict[str, str]
    safetyamp: SafetyAmpState
    faults: FaultBook
    sources: Sources
    jiras: dict[str, JiraState]

    def requests(self, system: str | None = None, since: int = 0) -> list[RequestRecord]:
        """The requests made to the sandbox."""


def control_app(box: Controlled) -> Starlette:
    """The door of one sandbox. Every answer is JSON; what cannot be done is a 400 with a `message`.

    - `GET /environment`: the variables that point a program at this sandbox
    - `GET /state[?hidden=1]`: SafetyAmp's tables; `GET /requests[?system=…&since=seq]`: the request log
    - `GET|POST|DELETE /faults`: the rules in force with their counts; a rule to add, as FaultRule's fields; lift all
    - `PATCH /options`: fields of TargetOptions to set
    - `POST /change {"system": "safetyamp", "do": "edit|insert|hide", "table": …, "id": …, "fields": {…}}`: by a person
    - `POST /change {"system": "sources", "do": "hire"|…, "args": {…}}`: the actions of Sources, by name
    - `POST /experiment {"do": "leaver"|…, "argument": …}`: a small story, `experiments.py`
    - `POST /change {"system": "jira_cloud"|"jira_data_center", "do": "create"|…, "args": {…}}`: those of JiraState
    """
    door = _Door(box)
    return Starlette(
        routes=[
            Route("/environment", door.environment),
            Route("/state", door.state),
            Route("/requests", door.requests),
            Route("/faults", door.faults, methods=["GET", "POST", "DELETE"]),
            Route("/options", door.options, methods=["PATCH"]),
            Route("/change", door.change, methods=["POST"]),
            Route("/experiment", door.experiment, methods=["POST"]),
        ]
    )


class _Door:
    def __init__(self, box: Controlled) -> None:
        self._box = box

    async def environment(self, _: Request) -> Response:
        return JSONResponse(self._box.environment)

    async def state(self, request: Request) -> Response:
        return JSONResponse({"safetyamp": self._box.safetyamp.tables(hidden="hidden" in request.query_params)})

    async def requests(self, request: Request) -> Response:
        since = request.query_params.get("since", "0")
        if not since.isdigit():
            return _refusal("since is a seq, a number")
        records = self._box.requests(request.query_params.get("system"), int(since))
        return JSONResponse([dataclasses.asdict(record) for record in records])

    async def faults(self, request: Request) -> Response:
        if request.method == "POST":
            return await _attempt(request, lambda body: dataclasses.asdict(self._box.faults.add(FaultRule(**body))))
        if request.method == "DELETE":
            self._box.faults.clear()
        seen = self._box.faults.seen()
        return JSONResponse([{**dataclasses.asdict(rule), "seen": count} for rule, count in seen])

    async def options(self, request: Request) -> Response:
        return await _attempt(request, self._set_options)

    async def change(self, request: Request) -> Response:
        return await _attempt(request, self._change)

    async def experiment(self, request: Request) -> Response:
        def act(body: Mapping[str, Any]) -> Any:
            return {"message": experiment(self._box, body["do"], body.get("argument", ""))}

        return await _attempt(request, act)

    def _set_options(self, body: Mapping[str, Any]) -> Any:
        known = {field.name for field in dataclasses.fields(self._box.safetyamp.options)}
        if unknown := sorted(set(body) - known):
            raise ValueError(f"no such option: {', '.join(unknown)}")
        for name, value in body.items():
            setattr(self._box.safetyamp.options, name, value)
        return dataclasses.asdict(self._box.safetyamp.options)

    def _change(self, body: Mapping[str, Any]) -> Any:
        person, fields = self._box.safetyamp, body.get("fields", {})
        match body["system"], body["do"]:
            case "safetyamp", "edit":
                return person.edit(body["table"], body["id"], **fields)
            case "safetyamp", "insert":
                return person.insert(body["table"], **fields)
            case "safetyamp", "hide":
                return person.hide(body["table"], body["id"])
            case "sources", action:
                return self._box.sources.apply(action, body.get("args", {}))
            case jira, action if jira in self._box.jiras:
                return self._box.jiras[jira].apply(action, body.get("args", {}))
        raise ValueError(f"there is no change {body['do']!r} of {body['system']!r}")


async def _attempt(request: Request, act: Callable[[Any], Any]) -> Response:
    """Do it with the request's JSON; a wrong request is the caller's 400, not the sandbox's 500."""
    try:
        result = act(await request.json())
    except (ValueError, TypeError, KeyError) as error:
        return _refusal(f"{type(error).__name__}: {error}")
    return JSONResponse(result)


def _refusal(message: str) -> Response:
    return JSONResponse({"message": message}, 400)
