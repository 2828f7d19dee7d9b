"""One value of a Jira field, in whatever shape Jira gives it, as the value of a typed column. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

ColumnType = Literal["text", "integer", "number", "boolean", "date", "datetime", "json", "list"]
Pick = Literal["first", "last", "active"]

ABSENT: Final = object()
"""A field that was asked for and is not in the answer: no permission, or not on the screen. It is not an empty one."""
_LARGEST: Final = 2**63 - 1
_MOST_DIGITS: Final = 100
_YES, _NO = {"yes", "y", "true", "1", "on"}, {"no", "n", "false", "0", "off"}
_SPRINT = re.compile(r"[\w.$]*Sprint@\w+\[(.*)\]", re.DOTALL)
_PAIR = re.compile(r",(?=\w+=)")
_NAMES = ("displayName", "value", "name", "key")


class Untyped(ValueError):
    """A value that the column's type cannot hold. The text is a reason and never holds the value."""


def typed(kind: ColumnType, raw: Any) -> Any:
    """The value for a column of this type; None for an empty one. Raises Untyped."""
    if raw is None or raw in ("", [], {}):
        return None
    return _TYPED[kind](raw)


def at_path(fields: Mapping[str, Any], path: str) -> Any:
    """The value at `field` or `field.part.part`, through lists as well; ABSENT when the field is not there."""
    name, *parts = path.split(".")
    value: Any = fields.get(name, ABSENT)
    for part in parts if value is not ABSENT else ():
        value = [_member(one, part) for one in value] if isinstance(value, list) else _member(value, part)
    return value


def picked(raw: Any, pick: Pick) -> Any:
    """One element of a list: the first, the last, or the one whose state is active (a sprint); None when none is."""
    elements = [parsed_sprint(one) for one in raw] if isinstance(raw, list) else [raw]
    if pick == "active":
        elements = [one for one in elements if str(_member(one, "state")).lower() == "active"]
    return None if not elements else elements[0] if pick == "first" else elements[-1]


def parsed_sprint(raw: Any) -> Any:
    """A sprint as an object: older Data Centers write `…Sprint@1f[id=6,state=ACTIVE,name=a, [b],…]`."""
    matched = _SPRINT.fullmatch(raw) if isinstance(raw, str) else None
    if matched is None:
        return raw
    pairs = (pair.partition("=") for pair in _PAIR.split(matched.group(1)))
    return {name: None if value == "<null>" else value for name, _, value in pairs}


def plain_text(raw: Any) -> str:
    """Any value as text: rich text as its lines, an object by its name, a cascade as `parent > child`."""
    raw = parsed_sprint(raw)
    match raw:
        case None:
            return ""
        case str():
            return raw.replace("\0", "")
        case bool():
            return "true" if raw else "false"
        case list():
            return ", ".join(text for text in map(plain_text, raw) if text)
        case {"type": "doc"}:
            return _lines(raw)
        case {"child": dict() as child}:
            return f"{plain_text({**raw, 'child': None})} > {plain_text(child)}"
        case dict():
            return next((plain_text(raw[name]) for name in _NAMES if raw.get(name) not in (None, "")), "")
    return str(raw)


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _text(raw: Any) -> str | None:
    return plain_text(raw) or None


def _integer(raw: Any) -> int:
    number = _decimal(raw)
    if number is None:  # "Order 4711": the one number in it
        runs = re.findall(r"\d+", plain_text(raw))
        if len(runs) != 1 or len(runs[0]) > _MOST_DIGITS:
            raise Untyped("holds no number" if not runs else "holds several numbers")
        number = Decimal(runs[0])
    if number != number.to_integral_value():
        raise Untyped("is not a whole number")
    if abs(number) > _LARGEST:
        raise Untyped("is larger than a column can hold")
    return int(number)


def _number(raw: Any) -> Decimal:
    number = _decimal(raw)
    if number is None:
        raise Untyped("is not a number")
    return number


def _decimal(raw: Any) -> Decimal | None:
    text = plain_text(raw).strip() if not isinstance(raw, bool) else ""
    try:
        number = Decimal(text) if len(text) <= _MOST_DIGITS and "_" not in text else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() and abs(number.adjusted()) <= _MOST_DIGITS else None


def _boolean(raw: Any) -> bool:
    word = plain_text(raw).strip().lower()
    if word not in _YES | _NO:
        raise Untyped("is neither yes nor no")
    return word in _YES


def _date(raw: Any) -> date:
    try:
        return datetime.fromisoformat(plain_text(raw)).date()
    except ValueError:
        raise Untyped("is not a date") from None


def moment(raw: Any) -> datetime:
    """A point in time, from ISO text with an offset (`-0500` too) or milliseconds since 1970. Raises Untyped."""
    try:
        if isinstance(raw, int) and not isinstance(raw, bool):
            return datetime.fromtimestamp(raw / 1000, UTC)
        found = datetime.fromisoformat(plain_text(raw))
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise Untyped("is not a point in time") from None
    raise Untyped("is a time without a time zone")


def _list(raw: Any) -> list[str] | None:
    elements = raw if isinstance(raw, list) else [raw]
    return [text for text in map(plain_text, elements) if text] or None


def _json(raw: Any) -> Any:
    """As it is, without the characters that a database's JSON refuses."""
    match raw:
        case str():
            return raw.replace("\0", "")
        case list():
            return [_json(one) for one in raw]
        case dict():
            return {_json(name): _json(value) for name, value in raw.items()}
    return raw


_TYPED: Mapping[ColumnType, Callable[[Any], Any]] = {
    "text": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": moment,
    "json": _json,
    "list": _list,
}

_BLOCKS = {"paragraph", "heading", "codeBlock", "blockquote", "listItem", "tableRow", "rule", "panel", "mediaSingle"}
_SHOWN = {
    "text": "text",
    "mention": "text",
    "emoji": "text",
    "status": "text",
    "date": "timestamp",
    "inlineCard": "url",
}


def _lines(document: Any) -> str:
    """The text of an Atlassian document: its blocks on lines of their own, unknown nodes by what they hold."""
    return re.sub(r"\n{2,}", "\n", "".join(_pieces(document))).strip("\n")


def _pieces(node: Any) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    kind = node.get("type")
    if kind == "hardBreak":
        yield "\n"
    if kind in _SHOWN:
        attributes = node if kind == "text" else node.get("attrs") or {}
        yield str(attributes.get(_SHOWN[kind]) or "").replace("\0", "")
    for child in node.get("content") or ():
        yield from _pieces(child)
    if kind in _BLOCKS:
        yield "\n"
