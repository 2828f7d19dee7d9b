"""How each system looks when something between it and the caller answers: error bodies and empty pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

HTML = b"<!DOCTYPE html><html><head><title>Please wait</title></head><body><h1>One moment</h1></body></html>"

_EMPTY_PAGES: Mapping[str, Any] = {
    "safetyamp": {"data": []},
    "samsara": {"data": [], "pagination": {"endCursor": "", "hasNextPage": False}},
    "graph": {"value": []},
    "login": {},
    "jira_cloud": {"issues": [], "isLast": True},
    "jira_data_center": {"startAt": 0, "maxResults": 50, "total": 0, "issues": []},
}
_TEXTS = {
    400: "Bad Request",
    401: "Unauthenticated.",
    403: "This action is unauthorized.",
    404: "Not Found",
    429: "Too Many Attempts.",
    500: "Server Error",
}
_GRAPH_CODES = {401: "InvalidAuthenticationToken", 403: "Authorization_RequestDenied", 429: "TooManyRequests"}


def empty_page(system: str) -> bytes:
    """A listing of `system` that holds no row and promises no further page."""
    return json.dumps(_EMPTY_PAGES[system]).encode()


def endless_page(system: str, cursor: str, url: str) -> bytes:
    """A listing of Samsara or Graph that holds no row and names a further page: by the cursor, or below the URL."""
    if system == "samsara":
        return json.dumps({"data": [], "pagination": {"endCursor": cursor, "hasNextPage": True}}).encode()
    return json.dumps({"value": [], "@odata.nextLink": f"{url}?$skiptoken={cursor}"}).encode()


def has_rows(page: bytes) -> bool:
    """Whether a listing's answer, of any of the systems, holds at least one row."""
    body = json.loads(page)
    if isinstance(body, list):
        return bool(body)
    return bool(body.get("data") or body.get("value") or body.get("issues"))


def error_answer(system: str, status: int) -> tuple[bytes, bytes]:
    """(content type, body) of an error: HTML for a gateway's 502, 503 and 504, else the system's own JSON shape."""
    if status in (502, 503, 504):
        return b"text/html", HTML
    text = _TEXTS.get(status, "Error")
    body: dict[str, Any] = {"message": text}
    if system == "samsara":
        body = {"message": text, "requestId": "sandbox"}
    elif system == "graph":
        body = {"error": {"code": _GRAPH_CODES.get(status, "UnknownError"), "message": text, "innerError": {}}}
    elif system.startswith("jira"):
        body = {"errorMessages": [text], "errors": {}}
    elif system == "login":
        body = {"error": "temporarily_unavailable", "error_description": f"AADSTS90033: {text}", "error_codes": [90033]}
    return b"application/json", json.dumps(body).encode()
