"""What an HTTP answer, or its absence, means: JSON data or exactly one class of `sync.model.errors`. Makes no call.

No text of an answer gets into an error: Laravel and Graph repeat the values they refuse.
"""

from __future__ import annotations

import json
import math
import re
import ssl
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import requests
import urllib3.exceptions

from safetyamp_pipelines.sync.model.errors import (
    AnswerLost,
    AuthRefused,
    CallError,
    FatalCall,
    NotSent,
    RateLimited,
    RecordRefused,
)
from safetyamp_pipelines.systems.http.retry import Busy

_NAME = re.compile(r"[A-Za-z0-9_.*\[\]-]{1,64}")
_LONGEST_NUMBER = 40  # digits; SQL Server has 38
_PART = re.compile(r"\b([a-z]+)\s*=\s*(\d+)")
_MOMENTS = 1e8  # what is larger is not a number of seconds to wait
_NEVER_IMPLEMENTED = (501, 505)


class Call(NamedTuple):
    """What an error may hold of a call: `endpoint` has its ids replaced and no query."""

    system: str
    method: str
    endpoint: str


class Reply(NamedTuple):
    """One whole HTTP answer. `headers` is case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def answer_of(call: Call, reply: Reply, *, now: float, sent: Container[str] = ()) -> Any:
    """The JSON of a 2xx reply (`{}` for 204); raises the CallError of any other. `now` is for a Retry-After date, and
    of the fields that were `sent` an error may hold the names: others may be a person's values."""
    if not 200 <= reply.status < 300:
        raise failure_of_status(call, reply, now=now, sent=sent)
    if reply.status == 204 and not reply.body:
        return {}
    if "html" in reply.headers.get("Content-Type", "").lower():
        raise AnswerLost(*call, status=reply.status, detail="the answer is an HTML page, not JSON")
    try:
        return _json(reply.body)
    except RecursionError:
        raise AnswerLost(*call, status=reply.status, detail="the answer is nested too deeply") from None
    except ValueError:
        raise AnswerLost(*call, status=reply.status, detail="the answer is not JSON") from None


def failure_of_status(call: Call, reply: Reply, *, now: float, sent: Container[str] = ()) -> CallError:
    """The error of a status that is not a success."""
    status = reply.status
    if status in (401, 403):
        return AuthRefused(*call, status=status, detail=_safe_detail(reply) or "check the key and its permissions")
    if status == 429:
        limited = RateLimited(*call, status=status)
        asked = _retry_after(reply.headers, now)
        limited.retry_after = asked if asked is not None else _seconds_of(_rate(reply.headers)[1], now)
        return limited
    if status == 408 or (status >= 500 and status not in _NEVER_IMPLEMENTED):
        asked = _retry_after(reply.headers, now)
        if asked is not None:
            return Busy(*call, status=status, retry_after=asked)
        return AnswerLost(*call, status=status, detail=_safe_detail(reply))
    if status < 400:
        return FatalCall(*call, status=status, detail="it sends us elsewhere; check its base URL")
    return RecordRefused(*call, status=status, detail=_safe_detail(reply, sent), errors=dict(_field_errors(reply)))


def failure_of_exception(call: Call, error: requests.RequestException | UnicodeError) -> CallError:
    """The error of a call without a whole answer. Raise it outside the `except`: the library's text holds the URL."""
    cause = _root(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return FatalCall(*call, detail="its certificate is not trusted; check REQUESTS_CA_BUNDLE")
    if isinstance(error, ValueError):  # InvalidURL, InvalidHeader and their like
        return FatalCall(*call, detail="the request cannot be built; check its base URL and key")
    if isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
        return NotSent(*call, detail="no connection could be made")
    if isinstance(error, requests.Timeout) or isinstance(cause, urllib3.exceptions.TimeoutError):
        return AnswerLost(*call, detail="no answer in time")
    return AnswerLost(*call, detail=f"the answer was cut off ({type(cause).__name__})")


def _root(error: BaseException) -> BaseException:
    """The urllib3 or ssl error inside: requests wraps it as an argument, urllib3 as `reason`, ssl as an argument."""
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        if inner is None or isinstance(error, urllib3.exceptions.NewConnectionError):
            return error
        error = inner


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait: Samsara sends fractions, a proxy may send a date. None when absent or unreadable."""
    text = headers.get("Retry-After", "").strip()
    with suppress(ValueError):
        seconds = float(text)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    with suppress(ValueError, OverflowError):  # a year or a zone beyond all calendars
        date = parsedate_to_datetime(text)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    return None


def rest_of(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds for which the answer says that no call is left; None when it does not, or calls are left."""
    left, reset = _rate(headers)
    with suppress(ValueError):
        return _seconds_of(reset, now) if float(left) <= 0 else None
    return None


def _rate(headers: Mapping[str, str]) -> tuple[str, str]:
    """What is left and when it is full again, as the answer writes it: in headers of their own, with or without X-, or
    in the one of the standard (`remaining=0, reset=5`, or `"default";r=0;t=5`)."""
    for prefix in ("RateLimit", "X-RateLimit", "X-Rate-Limit"):
        if f"{prefix}-Remaining" in headers or f"{prefix}-Reset" in headers:
            return headers.get(f"{prefix}-Remaining", ""), headers.get(f"{prefix}-Reset", "")
    parts: dict[str, str] = dict(_PART.findall(headers.get("RateLimit", "")))
    return parts.get("remaining", parts.get("r", "")), parts.get("reset", parts.get("t", ""))


def _seconds_of(reset: str, now: float) -> float | None:
    """Seconds until a reset that is given as seconds, as a moment since 1970, or as an ISO 8601 time."""
    moment = None
    with suppress(ValueError):
        moment = float(reset)
        if not math.isfinite(moment):
            return None
        if moment < _MOMENTS:
            return max(0.0, moment)
    with suppress(ValueError, OverflowError):
        read = datetime.fromisoformat(reset.strip()) if moment is None else None
        moment = moment if read is None else (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    return None if moment is None else max(0.0, moment - now)


def _field_errors(reply: Reply) -> Iterator[tuple[str, list[str]]]:
    errors = object_of(reply).get("errors")
    if not isinstance(errors, dict):
        return
    for field, texts in errors.items():
        yield field, [str(text) for text in (texts if isinstance(texts, list) else [texts])]


def _safe_detail(reply: Reply, sent: Container[str] = ()) -> str:
    """What may be repeated of a refusal: names of fields, Graph's error code, Samsara's request id. Never a text."""
    body = object_of(reply)
    nested = body.get("error")
    code = str(nested.get("code", "")) if isinstance(nested, dict) else ""
    refused = [name for name, _ in _field_errors(reply)]
    names = [name for name in refused if name.partition(".")[0] in sent] if refused else [code]
    parts = [", ".join(name for name in names if _NAME.fullmatch(name))]
    request_id = str(body.get("requestId", ""))
    if _NAME.fullmatch(request_id):
        parts.append(f"request {request_id}")
    return "; ".join(part for part in parts if part)


def object_of(reply: Reply) -> dict[str, Any]:
    """The body as a JSON object, `{}` when it is anything else: an error answer need not be JSON."""
    with suppress(ValueError, RecursionError):
        body = _json(reply.body)
        return body if isinstance(body, dict) else {}
    return {}


def _json(body: bytes) -> Any:
    """JSON of any Unicode encoding. What no snapshot could hold passes, and is for the door of snapshots to deal with:
    half a character, NaN, and numbers of many digits, which stay text. Raises ValueError, RecursionError.
    """
    encoding = json.detect_encoding(body)
    try:
        text = body.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        text = body.decode(encoding, "replace")
    return json.loads(text, parse_int=lambda digits: digits if len(digits) > _LONGEST_NUMBER else int(digits))
