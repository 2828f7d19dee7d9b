"""Structured logs: an event is one text or JSON line, with secrets and personal values hidden.

`get_logger` works without configuration and goes through the standard library, so that the same lines reach the console
of a command and, inside a run, the event log of Dagster (`managed_python_loggers: [safetyamp_pipelines]`). structlog
was tried: a quarter of a second for each command that logs, of which nothing but the context was used.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from safetyamp_pipelines.settings.log_file import RotatedFile
from safetyamp_pipelines.sync.entities.registry import PERSONAL, spelling_of
from safetyamp_pipelines.sync.model.text import displayed, displayed_lines

HIDDEN = "[hidden]"
PACKAGE = "safetyamp_pipelines"

# Beside these, what entities declare to be personal. Keys are compared in small letters and digits alone.
_SECRET_PART = re.compile(
    r"token|secret|password|passwd|pwd|apikey|authorization|cookie|credential|connectionstring|dsn|encryptionkey"
)
_RECORD = re.compile(r"(record|row|value)s?|payload|body|before|after|expected|answer|pushed")
_HIDDEN_AFTER = (
    r"\w*(?:secret|password|passwd|pwd)|(?:access_|refresh_|id_)?token|api_?key|sig|signature|client_assertion"
    r"|accountkey|sharedaccesskey"
)
_IN_TEXT = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+"), rf"\1 {HIDDEN}"),
    (
        re.compile(rf"(?i)(\b(?:{_HIDDEN_AFTER})=|[\"'](?:{_HIDDEN_AFTER})[\"']\s*:\s*[\"'])[^\s&;,\"']+"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(?<=://)[^/\s@]+@"), f"{HIDDEN}@"),
    (re.compile(r"[\w.+'-]+@[\w-]+(\.[\w-]+)+"), HIDDEN),
    (re.compile(r"\+\d{8,15}\b"), HIDDEN),
)


def redacted(key: str, value: Any) -> Any:
    """The value as it may be logged: hidden by its key's name, cleaned of addresses and logins inside text."""
    plain = spelling_of(key)
    if value is None or isinstance(value, bool):
        return value
    if _RECORD.fullmatch(plain) and isinstance(value, int):  # a count of records, not a record
        return value
    if plain in PERSONAL or _RECORD.fullmatch(plain) or _SECRET_PART.search(plain):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(name): redacted(str(name), inner) for name, inner in value.items()}
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple):
        return [redacted(key, inner) for inner in value]
    return value if isinstance(value, int | float) else _clean(str(value))


def _clean(text: str) -> str:
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


class Logger:
    """Logs events with fields: `log.info("read_whole", table="entra/users", rows=1800)`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: Any) -> None:
        """A line for developers."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """The ordinary course of things."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something that an operator should look at."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something that failed."""
        self._log(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Something that failed, with the trace of the exception in hand."""
        self._log(logging.ERROR, event, {"exc_info": sys.exception(), **fields})

    def _log(self, level: int, event: str, fields: Mapping[str, Any]) -> None:
        if not self._logger.isEnabledFor(level):
            return
        line = {"event": event, **fields, **_context.get()}
        error = line.pop("exc_info", None)
        if error is not None:
            line["exception"] = logging.Formatter().formatException((type(error), error, error.__traceback__))
        structured = {key: redacted(key, value) for key, value in line.items()}
        # The line as the standard library's message, which Dagster shows, and its fields beside it for our JSON.
        # No arguments follow, so that a % in the line stays one.
        self._logger.log(level, _line(structured), extra={"structured": structured}, stacklevel=3)


_context: ContextVar[Mapping[str, Any]] = ContextVar("log_context", default={})  # noqa: B039 (never changed in place)


def get_logger(name: str) -> Logger:
    """The logger of a module."""
    return Logger(name)


@contextmanager
def log_context(**fields: Any) -> Iterator[None]:
    """Every line logged inside, also by functions called there, carries these fields."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def configure_logging(
    format: Literal["text", "json"] = "text",
    level: str = "INFO",
    stream: TextIO | None = None,
    file: Path | None = None,
) -> None:
    """Send this package's lines from `level` on, and others' warnings, to `stream` (standard error by default), and to
    `file`, if any.

    May be called again: the last call wins. Standard output stays free for what a command reports.
    """
    root = logging.getLogger()
    handlers = log_handlers(format, stream, file)
    for handler in handlers:
        handler.set_name(PACKAGE)
        handler.addFilter(_ours_or_a_warning)
        # On the handler as well: a run of Dagster sets the logger to the level of dagster.yaml, for its event log.
        handler.setLevel(level)
    for replaced in [one for one in root.handlers if one.get_name() == PACKAGE]:
        root.removeHandler(replaced)
        replaced.close()
    root.handlers = [*root.handlers, *handlers]
    logging.getLogger(PACKAGE).setLevel(level)


def log_handlers(
    format: Literal["text", "json"], stream: TextIO | None = None, file: Path | None = None
) -> list[logging.Handler]:
    """Write each record as one line of text or JSON, redacted, to `stream` (standard error by default) and `file`."""
    handlers: list[logging.Handler] = [_StandardError() if stream is None else logging.StreamHandler(stream)]
    if file is not None:
        handlers.append(RotatedFile(file))
    for handler in handlers:
        handler.setFormatter(_Json() if format == "json" else _Text())
    return handlers


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at that moment: while bars of progress are shown, a line goes above them."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        """What it was when the handler was made does not matter."""


def _ours_or_a_warning(record: logging.LogRecord) -> bool:
    """Libraries chat at INFO about addresses they call; only their warnings are for an operator."""
    return record.name.partition(".")[0] == PACKAGE or record.levelno >= logging.WARNING


def _line(event: Mapping[str, Any]) -> str:
    """The event, its fields as words, and the trace below."""
    fields = dict(event)
    message = str(fields.pop("event", ""))
    trace = fields.pop("exception", None)
    words = [displayed(message, None), *(f"{key}={_word(value)}" for key, value in fields.items())]
    return " ".join(words) + (f"\n{displayed_lines(trace)}" if trace else "")


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, str) and re.search(r"[\s\"=]|^$", text):
        text = json.dumps(text, ensure_ascii=False)
    return displayed(text, None)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        # Inside a run Dagster has put its own words before the message by now.
        structured = getattr(record, "structured", None)
        message = displayed_lines(_message(self, record)) if structured is None else _line(structured)
        return _clean(f"{_time(record)} {record.levelname:<7} {message}")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "structured", None) or {"event": _clean(_message(self, record)), **_of_run(record)}
        line = {"time": _time(record), "level": record.levelname, "logger": record.name, **fields}
        return json.dumps(line, default=str)


def _of_run(record: logging.LogRecord) -> dict[str, str]:
    """The run and the step of a line of Dagster's own, which has them beside its words."""
    known: Mapping[str, Any] = getattr(record, "dagster_meta", None) or {}
    return {label: known[name] for label, name in (("run_id", "run_id"), ("step", "step_key")) if known.get(name)}


def _message(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """A record's message, and its trace where a library gave one."""
    trace = f"\n{formatter.formatException(record.exc_info)}" if record.exc_info else ""
    return record.getMessage() + trace
