"""Which requests go wrong, and how: the rules and their exact counting. What a fault does is in gate.py."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass

KINDS = (
    "status",  # `status` in the system's own error shape; the application does not see the request, unless `acts`
    "delay",  # the application acts after `delay` seconds, even if the caller has hung up by then
    "slow_answer",  # the application acts at once, its answer leaves after `delay` seconds
    "cut_before",  # the connection is closed, the application never sees the request
    "cut_after",  # the application acts, the connection is closed without an answer
    "truncate",  # Content-Length promises the whole body, the connection is closed in the middle of it
    "cut_json",  # a complete answer whose JSON ends in the middle
    "html",  # 200 with an HTML page; the application does not see the request, unless `acts`
    "repeat_page",  # the body of the page answered before on the same path
    "empty_page",  # a page without rows, in the system's own envelope
    "endless_page",  # an empty page of Samsara or Graph that names another page, each time a new one
    "poison",  # the application's answer, in whose first record `field` holds the JSON text `body`
    "answer",  # `status`, `headers` and `body` as they are; the application does not see the request
    "drip",  # the head of an answer that never ends, a byte every `delay` seconds; the application sees nothing
)
SYSTEMS = ("safetyamp", "samsara", "login", "graph", "jira_cloud", "jira_data_center")


@dataclass(frozen=True)
class FaultRule:
    """A fault for some of the requests that match.

    The rule sees every request of `system` and `method` (None: any) for which `path_regex` is found in the path or
    in `path?query`. It strikes the `nth` of them (from 1) and the `times - 1` after it; `times=None` never ends.
    `delay` is seconds to wait before acting (`slow_answer`: before answering), with every kind. `retry_after` becomes
    that header, verbatim, of a `status` fault. `acts` lets the application act before a `status` or `html` answer.
    `body` may hold halves of surrogate pairs, which are sent as the three bytes that no UTF-8 has.
    """

    kind: str
    system: str | None = None
    method: str | None = None
    path_regex: str = ""
    nth: int = 1
    times: int | None = 1
    status: int = 503
    delay: float = 0.0
    retry_after: float | str | None = None
    acts: bool = False
    field: str = ""
    body: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of fault {self.kind!r}; one of {', '.join(KINDS)}")
        if self.system is not None and self.system not in SYSTEMS:
            raise ValueError(f"unknown system {self.system!r}; one of {', '.join(SYSTEMS)}")
        if self.nth < 1 or (self.times is not None and self.times < 1):
            raise ValueError("nth and times count from 1")
        try:
            re.compile(self.path_regex)
        except re.error as error:
            raise ValueError(f"path_regex is not a regular expression: {error}") from error

    def matches(self, system: str, method: str, path: str, query: str) -> bool:
        """Whether this request is one the rule counts."""
        if self.system not in (None, system) or (self.method or method).upper() != method:
            return False
        whole = f"{path}?{query}" if query else path
        return bool(re.search(self.path_regex, path) or re.search(self.path_regex, whole))

    def strikes(self, count: int) -> bool:
        """Whether the `count`-th matching request (from 1) gets the fault."""
        return count >= self.nth and (self.times is None or count < self.nth + self.times)


class FaultBook:
    """The rules in force, each with its own count of matching requests; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[FaultRule] = []
        self._seen: list[int] = []

    def add(self, rule: FaultRule) -> FaultRule:
        """Put a rule in force; it counts requests from now on."""
        with self._lock:
            self._rules.append(rule)
            self._seen.append(0)
        return rule

    def clear(self) -> None:
        """Lift every rule and forget the counts."""
        with self._lock:
            self._rules.clear()
            self._seen.clear()

    def pick(self, system: str, method: str, path: str, query: str) -> FaultRule | None:
        """Count one request with every rule it matches; of those that strike, the one added first is returned."""
        struck: FaultRule | None = None
        with self._lock:
            for position, rule in enumerate(self._rules):
                if rule.matches(system, method, path, query):
                    self._seen[position] += 1
                    if struck is None and rule.strikes(self._seen[position]):
                        struck = rule
        return struck

    def seen(self) -> list[tuple[FaultRule, int]]:
        """Every rule in force with the number of requests that matched it so far."""
        with self._lock:
            return list(zip(self._rules, self._seen, strict=True))
