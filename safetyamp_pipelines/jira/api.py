"""One Jira over HTTP: Cloud (page tokens) and Data Center (by id) behind the same questions. It only reads.

A short page is not taken for the last one. Field values are interpreted in `values.py`.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from safetyamp_pipelines.jira.instances import Instance, Kind
from safetyamp_pipelines.jira.values import Untyped, moment
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import AuthRefused, CallError, FatalCall, ReadError, RecordRefused
from safetyamp_pipelines.systems.http.budget import Budget, budget_key
from safetyamp_pipelines.systems.http.budget_postgres import bucket_factory
from safetyamp_pipelines.systems.http.client import HttpClient
from safetyamp_pipelines.systems.http.retry import RetryPolicy

Issue = dict[str, Any]
PAGE = 500
ID_PAGE: Mapping[Kind, int] = {"cloud": 5000, "data_center": 1000}
ASKED_AT_ONCE, LOGS_AT_ONCE, LOG_PAGE, PROJECT_PAGE = 100, 1000, 10_000, 100
LONGEST_SILENCE = 60.0
"""Seconds waited after a 429 that does not say how long."""


class Log(NamedTuple):
    """All histories of an issue, None where Jira returns only a part; and the `updated` they belong to, if given."""

    histories: list[dict[str, Any]] | None
    as_of: datetime | None = None


class PagingLost(ReadError):
    """A page token, or the id the next page begins after, is no longer valid: the read has to start over."""


@dataclass(frozen=True)
class About:
    """What a Jira reports about itself and the account; `skew` is its clock minus ours."""

    kind: Kind
    time_zone: str
    skew: timedelta


class JiraClient:
    """One instance. Safe to use from several threads; `http.calls` counts its requests."""

    def __init__(self, instance: Instance, http: HttpClient) -> None:
        self.instance, self.http = instance, http
        self._lock = threading.Lock()
        self._about: About | None = None

    @property
    def about(self) -> About:
        """Asked once: the kind of Jira, and whether it knows the account, since an anonymous user sees empty lists."""
        with self._lock:
            if self._about is None:
                with self._reading("serverInfo"):
                    server = _object(self.http.get("/rest/api/2/serverInfo"), "serverInfo")
                    self._about = self._asked_about(server)
            return self._about

    def _asked_about(self, server: Mapping[str, Any]) -> About:
        kind: Kind = "cloud" if server.get("deploymentType") == "Cloud" else "data_center"
        try:
            skew = moment(server.get("serverTime")) - datetime.now(UTC)
        except Untyped:
            skew = timedelta(0)
        myself = _object(self.http.get("/rest/api/2/myself"), "myself")
        if not (myself.get("accountId") or myself.get("name")):
            raise AuthRefused(self.http.system, "GET", "/rest/api/2/myself", detail="it does not know the account")
        return About(self.instance.kind or kind, str(myself.get("timeZone") or "unknown"), skew)

    def now(self) -> datetime:
        """The time by Jira's clock."""
        return datetime.now(UTC) + self.about.skew

    def projects(self) -> dict[str, str]:
        """Key and name of every project that the account may browse."""
        with self._reading("projects"):
            if self.about.kind == "data_center":
                rows = self.http.get("/rest/api/2/project")
            else:
                rows = list(self._offset_pages("/rest/api/3/project/search", {}, "values", PROJECT_PAGE))
            return {_text(row, "key"): str(row.get("name") or "") for row in _objects(rows, "projects")}

    def fields(self) -> list[dict[str, Any]]:
        """The catalogue of fields. Never empty: that would be a failed read."""
        with self._reading("fields"):
            rows = _objects(self.http.get(self._path("field")), "fields")
        if not rows or not all(isinstance(row.get("id"), str) for row in rows):
            raise ReadError(self._table("fields"), "the answer holds no fields")
        return rows

    def count(self, jql: str) -> int:
        """How many issues a query finds, by Jira's own count (a Cloud's is approximate)."""
        with self._reading("count"):
            if self.about.kind == "cloud":
                found = self._query("count", "search/approximate-count", {"jql": jql}).get("count")
            else:
                found = self._search({"jql": jql, "maxResults": 0, "fields": ["id"]}).get("total")
        if not isinstance(found, int):
            raise ReadError(self._table("count"), "the answer holds no count")
        return found

    def pages(self, where: str, fields: Sequence[str]) -> Iterator[list[Issue]]:
        """The issues of a query by id, in pages. Raises PagingLost when the next page can no longer be reached."""
        if self.about.kind == "cloud":
            return self._token_pages(where, fields, PAGE)
        return self._pages_by_id(where, fields)

    def ids(self, where: str) -> dict[int, str]:
        """The ids and keys a query finds, listed by another method than that of `pages` where Jira has one."""
        if self.about.kind == "cloud":
            pages = self._token_pages(where, ["id"], ID_PAGE["cloud"])
            return {issue_id(issue): str(issue.get("key") or "") for page in pages for issue in page}
        body = {"jql": f"{where} ORDER BY id ASC", "fields": ["id"]}
        with self._reading("issues"):
            rows = self._offset_pages(self._path("search"), body, "issues", ID_PAGE["data_center"], self._search)
            return {issue_id(row): str(row.get("key") or "") for row in rows}

    def by_ids(self, ids: Iterable[int], fields: Sequence[str]) -> dict[int, Issue]:
        """The issues of these ids that the account may see; the others are not in the answer."""
        found: dict[int, Issue] = {}
        for some in batches(sorted(ids), ASKED_AT_ONCE):
            with self._reading("issues"):
                if self.about.kind == "cloud":
                    body = {"issueIdsOrKeys": [str(one) for one in some], "fields": list(fields)}
                    answer = self._query("issues", "issue/bulkfetch", body)
                    issues = _objects(answer.get("issues"), "issues")
                    if answer.get("issueErrors"):  # issues that exist, but could not be returned just now
                        raise ReadError(self._table("issues"), "some issues could not be returned")
                else:
                    issues = self._pages_by_ids(some, fields=list(fields))
            found |= {issue_id(issue): issue for issue in issues if issue_id(issue) in set(some)}
        return found

    def newest(self, where: str, fields: Sequence[str], limit: int) -> list[Issue]:
        """A few issues of a query, the last updated first."""
        body = {"jql": f"{where} ORDER BY updated DESC", "maxResults": limit, "fields": list(fields)}
        with self._reading("issues"):
            is_cloud = self.about.kind == "cloud"
            answer = self._query("issues", "search/jql", body) if is_cloud else self._search(body)
            return _objects(answer.get("issues"), "issues")[:limit]

    def issue(self, key: str, fields: Sequence[str]) -> Issue | None:
        """One issue by its key or id; None when there is none, or it is not visible."""
        with self._reading("issue"):
            try:
                path = self._path(f"issue/{key}")
                params = {"fields": ",".join(fields)}
                return _object(self.http.get(path, params, endpoint=self._path("issue/{key}")), "issue")
            except RecordRefused as refused:
                if refused.status != 404:
                    raise
                return None

    def changelogs(self, ids: Sequence[int]) -> Iterator[tuple[int, Log]]:
        """Each issue with its changelog; nothing for one that Jira hides."""
        read = self._cloud_changelogs if self.about.kind == "cloud" else self._expanded_changelogs
        for some in batches(ids, LOGS_AT_ONCE if self.about.kind == "cloud" else ASKED_AT_ONCE):
            with self._reading("changelogs"):
                yield from read(some).items()

    def check(self) -> str:
        """For `doctor`: login, kind, time zone, and each configured project seen. Raises SyncError."""
        seen = self.projects()
        if hidden := sorted(set(self.instance.projects) - set(seen)):
            raise ReadError(self._table("projects"), f"not visible to the account: {', '.join(hidden)}")
        read = ", ".join(sorted(self.instance.projects or seen)) or "none"
        return f"{self.about.kind}, accepts the login (time zone {self.about.time_zone}); reads {read}"

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def _token_pages(self, where: str, fields: Sequence[str], size: int) -> Iterator[list[Issue]]:
        body = {"jql": f"{where} ORDER BY id ASC", "maxResults": size, "fields": list(fields)}
        for answer in self._by_token("issues", "search/jql", body):
            yield _objects(answer.get("issues"), "issues")

    def _by_token(self, table: str, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Every answer of a Cloud call that pages by token; the body stays the same."""
        tokens = set[str]()
        while True:
            with self._reading(table, continued=bool(tokens)):
                answer = self._query(table, path, body)
            yield answer
            token = answer.get("nextPageToken")
            if not token:
                if answer.get("isLast") is False:
                    raise ReadError(self._table(table), "more pages follow, but the answer holds no token")
                return
            if not isinstance(token, str) or token in tokens:
                raise ReadError(self._table(table), "the token of the next page came twice, or is not a token")
            tokens.add(token)
            body = {**body, "nextPageToken": token}

    def _query(self, table: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a query that is sent as a body."""
        path = self._path(name)
        return _object(self.http.query(path, body, endpoint=path), table)

    def _pages_by_id(self, where: str, fields: Sequence[str]) -> Iterator[list[Issue]]:
        last, seen = 0, set[int]()
        while True:
            jql = f"{where}{f' AND id > {last}' if last else ''} ORDER BY id ASC"
            with self._reading("issues", continued=last > 0):
                answer = self._search({"jql": jql, "startAt": 0, "maxResults": PAGE, "fields": list(fields)})
                issues, total = _objects(answer.get("issues"), "issues"), answer.get("total")
            if not isinstance(total, int) or (total > 0 and not issues):
                raise ReadError(self._table("issues"), "a page holds fewer issues than it announces")
            yield issues
            ids = {issue_id(issue) for issue in issues}
            if len(issues) >= total or ids <= seen:
                return
            seen |= ids
            last = max(ids)

    def _search(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A Data Center's search; POST, because a query may be long."""
        try:
            return self._query("issues", "search", body)
        except RecordRefused as refused:
            if refused.status != 410:
                raise
            do = f'the search is gone there: set "kind": "cloud" for {self.instance.name} in JIRA_INSTANCES'
            raise ReadError(self._table("issues"), do) from None

    def _pages_by_ids(self, ids: Sequence[int], **asked: Any) -> list[Issue]:
        """A Data Center's issues of these ids, in as many pages as it makes of them; unknown ids are not an error."""
        jql = f"id in ({','.join(map(str, ids))}) ORDER BY id ASC"
        body = {"jql": jql, "validateQuery": False, **asked}
        return list(self._offset_pages(self._path("search"), body, "issues", len(ids), self._search))

    def _offset_pages(
        self,
        path: str,
        params: Mapping[str, Any],
        field: str,
        size: int,
        ask: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None,
    ) -> Iterator[dict[str, Any]]:
        ask = ask or (lambda given: _object(self.http.get(path, given), field))
        start, total = 0, 1
        while start < total:
            answer = ask({**params, "startAt": start, "maxResults": size})
            rows, total = _objects(answer.get(field), field), answer.get("total", 0)
            if not isinstance(total, int) or (not rows and start != total):
                raise ReadError(self._table(field), "a page holds nothing although more is announced")
            yield from rows
            start += len(rows)

    def _cloud_changelogs(self, ids: Sequence[int]) -> dict[int, Log]:
        logs: dict[int, list[dict[str, Any]]] = {one: [] for one in ids}
        body = {"issueIdsOrKeys": [str(one) for one in ids], "maxResults": LOG_PAGE}
        for answer in self._by_token("changelogs", "changelog/bulkfetch", body):
            for log in _objects(answer.get("issueChangeLogs"), "changelogs"):
                known = logs.get(int(_text(log, "issueId")))
                if known is not None:
                    known.extend(_objects(log.get("changeHistories"), "changelogs"))
        return {one: Log(histories) for one, histories in logs.items()}

    def _expanded_changelogs(self, ids: Sequence[int]) -> dict[int, Log]:
        issues = {issue_id(one): one for one in self._pages_by_ids(ids, fields=["updated"], expand=["changelog"])}
        logs: dict[int, Log] = {}
        for one, issue in issues.items():
            logs[one] = _whole_log(issue)
            if logs[one].histories is None:  # truncated in a listing; on its own it may be complete
                path, params = self._path(f"issue/{one}"), {"fields": "updated", "expand": "changelog"}
                alone = self.http.get(path, params, endpoint=self._path("issue/{id}"))
                logs[one] = _whole_log(_object(alone, "changelogs"))
        return logs

    def _path(self, name: str) -> str:
        return f"/rest/api/{3 if self.about.kind == 'cloud' else 2}/{name}"

    def _table(self, name: str) -> str:
        return f"jira {self.instance.name} {name}"

    @contextmanager
    def _reading(self, table: str, *, continued: bool = False) -> Iterator[None]:
        """A failed call as ReadError; FatalCall passes, it concerns more than this read."""
        try:
            yield
        except (FatalCall, ReadError):
            raise
        except RecordRefused as refused:
            kind = PagingLost if continued and refused.status == 400 else ReadError
            hint = "; the query is refused: is the project visible to the account?" if refused.status == 400 else ""
            raise kind(self._table(table), f"{refused}{hint}") from refused
        except CallError as error:
            raise ReadError(self._table(table), str(error)) from error


def issue_id(issue: Mapping[str, Any]) -> int:
    """The id, a number. Raises ReadError for anything else."""
    text = str(issue.get("id"))
    if not text.isdecimal():
        raise ReadError("jira issues", "an issue has no id")
    return int(text)


def jira_client(instance: Instance, settings: Settings, policy: RetryPolicy | None = None) -> JiraClient:
    """The client of one instance, its budget shared by all processes. Makes no call."""
    token = instance.token.get_secret_value()
    authorization = f"Bearer {token}"
    if instance.user is not None:
        authorization = f"Basic {b64encode(f'{instance.user}:{token}'.encode()).decode()}"
    headers = {"Authorization": authorization, "Accept": "application/json", "User-Agent": "safetyamp-pipelines"}
    bucket = bucket_factory(settings.ledger_url.get_secret_value(), settings.budget_path)
    http = HttpClient(
        f"Jira {instance.name}",
        instance.url,
        headers=lambda: headers,
        timeout=settings.http_request_timeout,
        ca_bundle=settings.requests_ca_bundle,
        budget=Budget(instance.calls, instance.period, bucket(budget_key(instance.url, token))),
        policy=policy or RetryPolicy(window=min(instance.period, LONGEST_SILENCE)),
    )
    return JiraClient(instance, http)


def _whole_log(issue: Mapping[str, Any]) -> Log:
    log = _object(issue.get("changelog"), "changelogs")
    histories = _objects(log.get("histories"), "changelogs")
    is_whole = isinstance(total := log.get("total"), int) and len(histories) >= total
    return Log(histories if is_whole else None, moment(_object(issue.get("fields"), "changelogs").get("updated")))


def batches(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """The ids, so many at a time."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ReadError(f"jira {what}", "the answer is not an object")
    return value


def _objects(value: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ReadError(f"jira {what}", f"the answer holds no list of {what}")
    return value


def _text(row: Mapping[str, Any], name: str) -> str:
    if not isinstance(value := row.get(name), str) or not value:
        raise ReadError("jira", f"a row has no {name}")
    return value
