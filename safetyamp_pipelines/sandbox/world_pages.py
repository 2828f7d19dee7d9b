"""Pages of a listing by opaque token, as Samsara and Graph serve them: behind a key, never at an offset, so that
a record added or removed meanwhile shifts nothing."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from safetyamp_pipelines.sandbox.world_model import Row

T = TypeVar("T")


class Position(NamedTuple):
    """Where a listing goes on: behind the record with the id `after`; `gap` serves one empty page first."""

    after: str = ""
    gap: bool = False


class Page(NamedTuple):
    """The records of one page, and where the next one begins; None on the last."""

    rows: list[Row]
    following: Position | None


def cut_page(rows: Sequence[Row], at: Position, size: int, *, empty_pages: bool) -> Page:
    """The page at a position of the rows, in the order of their ids; with `empty_pages` empty ones in between."""
    if at.gap:
        return Page([], Position(at.after))
    behind = [row for row in sorted(rows, key=_order) if not at.after or _order(row) > _order({"id": at.after})]
    if len(behind) <= size:
        return Page(behind, None)
    return Page(behind[:size], Position(behind[size - 1]["id"], gap=empty_pages))


def seal(value: Any) -> str:
    """A JSON value as a token whose content is none of the caller's business."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unseal(token: str, read: Callable[[Any], T]) -> T:
    """What `seal` was given, through `read`; ValueError for a token nobody sealed."""
    try:
        padded = token + "=" * (-len(token) % 4)
        return read(json.loads(base64.urlsafe_b64decode(padded.encode())))
    except (binascii.Error, UnicodeError, KeyError, TypeError, ValueError) as problem:
        raise ValueError("the token is not one of ours") from problem


def _order(row: Row) -> tuple[int, str]:
    return len(row["id"]), row["id"]
