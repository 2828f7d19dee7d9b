"""The part of JQL that the sandbox's Jiras understand: which issues a query finds, and in which order."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from safetyamp_pipelines.sandbox.jira_state import Issue, JiraState

RESERVED = {"TO", "AND", "OR", "NOT", "IN", "IS", "ORDER", "BY", "EMPTY", "NULL"}
_TERM = re.compile(r"(\w+)\s*(>=|<=|=|>|<|in)\s*(.+)", re.IGNORECASE | re.DOTALL)
_RELATIVE = re.compile(r'"?-(\d+)([mhdw])"?')
_SPAN = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def found(jira: JiraState, jql: str, *, is_strict: bool = True) -> list[Issue]:
    """The issues of a query, in its order. Raises ValueError with Jira's reason; `is_strict` validates ids, too."""
    where, _, order = re.compile(r"\bORDER\s+BY\b", re.IGNORECASE).sub("\0", jql).partition("\0")
    terms = [term.strip() for term in re.split(r"\s+AND\s+", where.strip(), flags=re.IGNORECASE) if term.strip()]
    if not terms:
        raise ValueError("Unbounded JQL queries are not allowed here. Add a search restriction to your query.")
    tests = [_test(jira, term, is_strict) for term in terms]
    issues = [i for i in jira.issues.values() if i.project in jira.visible and all(test(i) for test in tests)]
    names = [part.split()[0].lower() for part in order.split(",") if part.strip()] or ["id"]
    return sorted(issues, key=lambda issue: tuple(_sort_value(issue, name) for name in names))


def _sort_value(issue: Issue, name: str) -> object:
    values = {"id": issue.id, "updated": issue.updated, "created": issue.created, "key": (issue.project, issue.number)}
    if name not in values:
        raise ValueError(f"Field '{name}' does not exist or you do not have permission to view it.")
    return values[name]


def _test(jira: JiraState, term: str, is_strict: bool) -> Callable[[Issue], bool]:
    matched = _TERM.fullmatch(term)
    if matched is None:
        raise ValueError(f"Error in the JQL Query near '{term[:20]}'.")
    name, operator, value = matched.group(1).lower(), matched.group(2).lower(), matched.group(3).strip()
    if name == "project":
        return _project(jira, value, is_strict)
    if name in ("updated", "created"):
        moment = _moment(jira, value)
        return lambda issue: _holds(getattr(issue, name), operator, moment)
    if name == "id" and operator == "in":
        wanted = {int(part) for part in value.strip("()").split(",")}
        seen = {issue.id for issue in jira.issues.values() if issue.project in jira.visible}
        if is_strict and wanted - seen:
            raise ValueError(f"An issue with key '{min(wanted - seen)}' does not exist for field 'id'.")
        return lambda issue: issue.id in wanted
    if name == "id":
        return _after(jira, operator, int(value), is_strict)
    raise ValueError(f"Field '{name}' does not exist or you do not have permission to view it.")


def _project(jira: JiraState, value: str, is_strict: bool) -> Callable[[Issue], bool]:
    key = value.strip('"')
    if value == key and key.upper() in RESERVED:
        raise ValueError(f"Error in the JQL Query: '{key}' is a reserved JQL word. Put it into quotes.")
    if is_strict and key not in jira.visible:
        raise ValueError(f"The value '{key}' does not exist for the field 'project'.")
    return lambda issue: issue.project == key


def _after(jira: JiraState, operator: str, number: int, is_strict: bool) -> Callable[[Issue], bool]:
    """By id; or, as Jira's own index may have it, by the number in the key among issues of the same project."""
    anchor = jira.issues.get(number)
    if is_strict and number and anchor is None:
        raise ValueError(f"An issue with key '{number}' does not exist for field 'id'.")
    if jira.options.id_by_number and anchor is not None:
        place = anchor
        return lambda issue: issue.project == place.project and _holds(issue.number, operator, place.number)
    return lambda issue: _holds(issue.id, operator, number)


def _moment(jira: JiraState, value: str) -> datetime:
    """Milliseconds since 1970, "-90m", or a quoted minute in the time zone of the user who asks."""
    if value.isdigit():
        return datetime.fromtimestamp(int(value) / 1000, UTC)
    if relative := _RELATIVE.fullmatch(value):
        return jira.now() - timedelta(**{_SPAN[relative.group(2)]: int(relative.group(1))})
    local = datetime.strptime(value.strip('"'), "%Y-%m-%d %H:%M")
    return local.replace(tzinfo=ZoneInfo(jira.options.time_zone)).astimezone(UTC)


def _holds(one: object, operator: str, other: object) -> bool:
    if operator == "=":
        return one == other
    tests: dict[str, Callable[[object, object], bool]] = {
        ">": lambda a, b: a > b,  # type: ignore[operator]
        ">=": lambda a, b: a >= b,  # type: ignore[operator]
        "<": lambda a, b: a < b,  # type: ignore[operator]
        "<=": lambda a, b: a <= b,  # type: ignore[operator]
    }
    return tests[operator](one, other)
