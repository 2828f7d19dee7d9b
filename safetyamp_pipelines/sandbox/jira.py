"""The two Jiras as Starlette applications: a Cloud site (REST 3, page tokens) and a Data Center (REST 2, offsets)."""

from __future__ import annotations

import base64
import json
import secrets
import zlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from safetyamp_pipelines.sandbox.jira_query import found
from safetyamp_pipelines.sandbox.jira_state import FIELDS, SYSTEM_FIELDS, Issue, JiraState, Raw
from safetyamp_pipelines.sandbox.throttle import Throttle

MOST_TOKEN_PAGE = 5000
MOST_PROJECTS = 50


class _Refused(Exception):
    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers


def jira_app(jira: JiraState) -> Starlette:
    """The application of one Jira; a Data Center lies under the context path `/jira`."""
    api = _Cloud(jira) if jira.kind == "cloud" else _DataCenter(jira)
    context = "" if jira.kind == "cloud" else "/jira"
    routes = [
        Route(f"{context}{path}", api.answering(endpoint), methods=methods)
        for version in api.versions
        for path, endpoint, methods in api.routes(f"/rest/api/{version}")
    ]
    return Starlette(routes=routes)


Endpoint = Callable[[Mapping[str, Any], Request], Any]


class _Jira:
    """What both have in common: login, limits, fields, projects and how an issue looks."""

    versions: tuple[int, ...] = (2,)

    def __init__(self, jira: JiraState) -> None:
        self.jira, self._throttle, self._pages = jira, Throttle(), 0

    def routes(self, base: str) -> list[tuple[str, Endpoint, list[str]]]:
        return [
            (f"{base}/myself", self.myself, ["GET"]),
            (f"{base}/serverInfo", self.server_info, ["GET"]),
            (f"{base}/field", self.fields, ["GET"]),
            (f"{base}/project", lambda *_: [self._project(key) for key in sorted(self.jira.visible)], ["GET"]),
            (f"{base}/project/{{key}}", self.project, ["GET"]),
            (f"{base}/issue/{{key}}", self.issue, ["GET"]),
        ]

    def answering(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint behind login and limit, its refusals in Jira's shape."""

        async def answer(request: Request) -> Response:
            try:
                self._admit(request)
                asked: dict[str, Any] = dict(request.query_params)
                if request.method == "POST":
                    asked |= await request.json()
                with self.jira.lock:
                    return JSONResponse(endpoint(asked, request))
            except _Refused as refused:
                if refused.status == 401:
                    return PlainTextResponse(refused.message, 401, {"WWW-Authenticate": 'OAuth realm="jira"'})
                return JSONResponse({"errorMessages": [refused.message], "errors": {}}, refused.status, refused.headers)
            except ValueError as error:
                return JSONResponse({"errorMessages": [str(error)], "errors": {}}, 400)

        return answer

    def _admit(self, request: Request) -> None:
        options = self.jira.options
        basic = base64.b64encode(f"{options.user}:{options.token}".encode()).decode()
        if request.headers.get("authorization") not in (f"Basic {basic}", f"Bearer {options.token}"):
            raise _Refused(401, "Client must be authenticated to access this resource.")
        if options.calls is not None and not self._throttle.admit(options.calls, options.period):
            wait = f"{self._throttle.wait(options.calls, options.period):.3f}"
            raise _Refused(429, "Rate limit exceeded", None if options.is_mute else {"Retry-After": wait})

    def myself(self, _asked: Mapping[str, Any], _: Request) -> Any:
        return {**self._user("Sync Sample"), "timeZone": self.jira.options.time_zone, "active": True}

    def server_info(self, _asked: Mapping[str, Any], _: Request) -> Any:
        kind = "Cloud" if self.jira.kind == "cloud" else "Server"
        return {"deploymentType": kind, "version": "1001.0.0", "serverTime": _text(self.jira.now())}

    def fields(self, _asked: Mapping[str, Any], _: Request) -> Any:
        system = [
            {"id": key, "key": key, "name": name, "custom": False, "schema": {**schema, "system": key}}
            for key, (name, schema) in SYSTEM_FIELDS.items()
        ]
        custom = [
            {"id": ids[self.jira.kind], "key": ids[self.jira.kind], "name": name, "custom": True, "schema": schema}
            for name, schema, ids in FIELDS.values()
        ]
        return [*system, *custom]

    def project(self, _asked: Mapping[str, Any], request: Request) -> Any:
        if (key := request.path_params["key"]) not in self.jira.visible:
            raise _Refused(404, f"No project could be found with key '{key}'.")
        return self._project(key)

    def issue(self, asked: Mapping[str, Any], request: Request) -> Any:
        issue = self.jira.find(request.path_params["key"])
        if issue is None:
            raise _Refused(404, "Issue does not exist or you do not have permission to see it.")
        return self._issue(issue, _names(asked.get("fields", "*all")), expands=_names(asked.get("expand", "")))

    def _project(self, key: str) -> Raw:
        return {"id": str(1000 + sorted(self.jira.projects).index(key)), "key": key, "name": self.jira.projects[key]}

    def _issue(self, issue: Issue, names: list[str], expands: list[str]) -> Raw:
        values = {self.jira.field_id(name): self._value(name, value) for name, value in issue.values.items()}
        values |= {
            "project": self._project(issue.project),
            "created": _text(issue.created),
            "updated": _text(issue.updated),
        }
        shown = {
            key: value
            for key, value in values.items()
            if ("*all" in names or key in names) and key not in self.jira.hidden_fields
        }
        row: Raw = {"id": str(issue.id), "key": issue.key, "self": f"https://jira.example/{issue.id}"}
        if names != ["id"]:
            row["fields"] = shown
        if "changelog" in expands:
            histories = [self._history(history) for history in issue.histories]
            cut = histories[-self.jira.options.most_histories :]
            row["changelog"] = {"startAt": 0, "maxResults": len(cut), "total": len(histories), "histories": cut}
        return row

    def _history(self, history: Raw) -> Raw:
        return {**history, "created": _text(history["created"]), "author": self._user("Ada Sample")}

    def _value(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        if name in ("status", "issuetype", "priority", "resolution"):
            return {"id": "1", "name": value}
        if name in ("assignee", "reporter"):
            return self._user(value)
        if name == "region":
            return {"id": "1", "value": value}
        if name == "place":
            parent, child = value
            return {"id": "1", "value": parent, **({} if child is None else {"child": {"id": "2", "value": child}})}
        if name == "tags":
            return [{"id": str(place), "value": one} for place, one in enumerate(value)]
        if name in ("sprint", "description"):
            return self._rich(name, value)
        return value

    def _user(self, name: str) -> Raw:
        raise NotImplementedError

    def _rich(self, name: str, value: Any) -> Any:
        raise NotImplementedError


class _Cloud(_Jira):
    """REST 2 and 3: search by page tokens, whose pages lie over what the query finds at each moment."""

    versions = (2, 3)

    def __init__(self, jira: JiraState) -> None:
        super().__init__(jira)
        self._tokens: dict[str, tuple[str, int, int]] = {}

    def routes(self, base: str) -> list[tuple[str, Endpoint, list[str]]]:
        return [
            (f"{base}/search/jql", self.search, ["GET", "POST"]),
            (f"{base}/search/approximate-count", self.count, ["POST"]),
            (f"{base}/search", self.removed, ["GET", "POST"]),
            (f"{base}/project/search", self.list_projects, ["GET"]),
            (f"{base}/issue/bulkfetch", self.fetch, ["POST"]),
            (f"{base}/changelog/bulkfetch", self.changelogs, ["POST"]),
            *super().routes(base),
        ]

    def removed(self, _asked: Mapping[str, Any], _: Request) -> Any:
        raise _Refused(410, "The requested API has been removed. Use /rest/api/3/search/jql.")

    def search(self, asked: Mapping[str, Any], _: Request) -> Any:
        size = int(asked.get("maxResults", 50))
        names = _names(asked.get("fields", "id"))
        if unknown := set(asked) - {"jql", "maxResults", "fields", "expand", "nextPageToken"}:
            raise ValueError(f"Invalid request payload: {', '.join(sorted(unknown))}")
        if not 1 <= size <= MOST_TOKEN_PAGE:
            raise ValueError("maxResults must lie between 1 and 5000")
        start, uses = self._start(asked)
        issues = found(self.jira, asked["jql"])
        self._pages += 1
        size = size if names == ["id"] else min(size, self.jira.options.most_per_page)
        if self.jira.options.short_pages and self._pages % 2:
            size = max(1, size // 2)
        page = issues[start : start + size]
        answer: Raw = {"issues": [self._issue(issue, names, _names(asked.get("expand", ""))) for issue in page]}
        more = start + size < len(issues)
        answer["isLast"] = not more
        if more:
            token = secrets.token_urlsafe(12)
            self._tokens[token] = (_query(asked), start + size, uses + 1)
            answer["nextPageToken"] = token
        return answer

    def _start(self, asked: Mapping[str, Any]) -> tuple[int, int]:
        if (token := asked.get("nextPageToken")) is None:
            return 0, 0
        query, start, uses = self._tokens.get(token, ("", 0, 0))
        most = self.jira.options.token_uses
        if query != _query(asked) or (most is not None and uses > most):
            raise ValueError("The provided next page token is invalid or expired.")
        return start, uses

    def count(self, asked: Mapping[str, Any], _: Request) -> Any:
        return {"count": len(found(self.jira, asked["jql"]))}

    def list_projects(self, asked: Mapping[str, Any], _: Request) -> Any:
        start, size = int(asked.get("startAt", 0)), min(int(asked.get("maxResults", MOST_PROJECTS)), MOST_PROJECTS)
        keys = sorted(self.jira.visible)
        values = [self._project(key) for key in keys[start : start + size]]
        return {"startAt": start, "total": len(keys), "isLast": start + size >= len(keys), "values": values}

    def fetch(self, asked: Mapping[str, Any], _: Request) -> Any:
        if len(keys := asked["issueIdsOrKeys"]) > 100:
            raise ValueError("at most 100 issues")
        seen = {key: self.jira.find(str(key)) for key in keys}
        issues = [self._issue(one, asked.get("fields", ["*all"]), []) for one in seen.values() if one is not None]
        return {"issues": issues, "issueErrors": []}  # one that is not there, or not to be seen, is in neither

    def changelogs(self, asked: Mapping[str, Any], _: Request) -> Any:
        """All histories of the issues in one row, cut into pages of `maxResults` histories."""
        if len(keys := asked["issueIdsOrKeys"]) > 1000:
            raise ValueError("at most 1000 issues")
        rows = [(key, history) for key in keys if (one := self.jira.find(str(key))) for history in one.histories]
        start, size = int(asked.get("nextPageToken") or 0), min(int(asked.get("maxResults", 1000)), 10_000)
        logs: dict[str, list[Raw]] = {}
        for key, history in rows[start : start + size]:
            logs.setdefault(str(key), []).append(self._history(history))
        answer: Raw = {"issueChangeLogs": [{"issueId": k, "changeHistories": v} for k, v in logs.items()]}
        if start + size < len(rows):
            answer["nextPageToken"] = str(start + size)
        return answer

    def _user(self, name: str) -> Raw:
        return {"accountId": f"5b{zlib.crc32(name.encode())}", "displayName": name, "active": True}

    def _rich(self, name: str, value: Any) -> Any:
        if name == "sprint":
            return value
        blocks = [{"type": "paragraph", "content": [{"type": "text", "text": line}]} for line in value.split("\n")]
        return {"type": "doc", "version": 1, "content": blocks}


class _DataCenter(_Jira):
    """REST 2 alone: search by offsets over what the query finds at each moment, with its total."""

    def routes(self, base: str) -> list[tuple[str, Endpoint, list[str]]]:
        return [
            *super().routes(base),
            (f"{base}/search", self.search, ["GET", "POST"]),
        ]

    def search(self, asked: Mapping[str, Any], _: Request) -> Any:
        start, names = int(asked.get("startAt", 0)), _names(asked.get("fields", "*all"))
        is_strict = asked.get("validateQuery", True) not in (False, "false", "none")
        issues = found(self.jira, asked["jql"], is_strict=is_strict)
        self._pages += 1
        size = min(int(asked.get("maxResults", 50)), self.jira.options.most_per_page)
        if self.jira.options.short_pages and self._pages % 2:
            size = max(1, size // 2)
        rows = [self._issue(one, names, _names(asked.get("expand", ""))) for one in issues[start : start + size]]
        return {"startAt": start, "maxResults": size, "total": len(issues), "issues": rows}

    def _user(self, name: str) -> Raw:
        return {"name": name.split()[0].lower(), "key": f"JIRAUSER{len(name)}", "displayName": name, "active": True}

    def _rich(self, name: str, value: Any) -> Any:
        if name == "description":
            return value
        mark = "com.atlassian.greenhopper.service.sprint.Sprint@1f"
        return [f"{mark}[id={one['id']},state={one['state'].upper()},name={one['name']},goal=]" for one in value]


def _names(value: Any) -> list[str]:
    return value if isinstance(value, list) else [name for name in str(value).split(",") if name]


def _query(asked: Mapping[str, Any]) -> str:
    return json.dumps([asked["jql"], asked.get("fields"), asked.get("expand")])


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"
