"""A run as a trace of OpenTelemetry, sent when it ends: a span for the run, for each push, and for each call. Endpoints
and statuses, never a value. Imported only where OTEL_EXPORTER_OTLP_ENDPOINT is set: it needs the extra `otel`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from safetyamp_pipelines.settings.logs import get_logger

if TYPE_CHECKING:
    from safetyamp_pipelines.ledger.records import Session
    from safetyamp_pipelines.systems.http.client import CallSeen

SERVICE = Resource.create({"service.name": "safetyamp_pipelines"})
TIMEOUT = 10
"""Seconds for the collector: a run does not wait longer for it."""
GOOD = 400
"""Statuses from here on are errors."""
log = get_logger(__name__)


def call_spans(run_id: str, calls: Iterable[CallSeen], sessions: Sequence[Session]) -> Iterator[ReadableSpan]:
    """The calls of one client, below the push in whose time they fell, else below the run."""
    for number, call in enumerate(calls):
        pushing = [one for one in sessions if call.system == "SafetyAmp" and _is_during(call.at, one)]
        parent = pushing[0].entity if pushing else ""
        begin = _nanoseconds(call.at)
        yield _span(
            run_id,
            f"{call.method} {call.endpoint}",
            f"{call.system}/{number}",
            parent,
            begin,
            begin + round(call.seconds * 1e9),
            {
                "peer.service": call.system,
                "http.request.method": call.method,
                "url.template": call.endpoint,
                "http.response.status_code": call.status or 0,
                "safetyamp.waited_seconds": call.waited,
            },
            is_good=call.status is not None and call.status < GOOD,
            kind=SpanKind.CLIENT,
        )


def run_spans(run_id: str, sessions: Sequence[Session], began: datetime, ended: datetime) -> Iterator[ReadableSpan]:
    """The run, and below it every push."""
    yield _span(run_id, "run", "", None, _nanoseconds(began), _nanoseconds(ended), {"dagster.run_id": run_id})
    for one in sessions:
        yield _span(
            run_id,
            f"push {one.entity}",
            one.entity,
            "",
            _nanoseconds(one.started_at),
            _nanoseconds(one.ended_at or ended),
            {"safetyamp.entity": one.entity, "safetyamp.session": one.id, "safetyamp.status": one.status},
            is_good=one.status == "done",
        )


def send(endpoint: str, spans: Iterable[ReadableSpan]) -> None:
    """Hand the spans to the collector. One that does not take them costs the trace, not the run."""
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=TIMEOUT)
    try:
        if exporter.export(list(spans)) is not SpanExportResult.SUCCESS:
            log.warning("trace_not_sent")
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call]


def _span(
    run_id: str,
    name: str,
    place: str,
    parent: str | None,
    begin: int,
    end: int,
    attributes: Mapping[str, Any],
    *,
    is_good: bool = True,
    kind: SpanKind = SpanKind.INTERNAL,
) -> ReadableSpan:
    return ReadableSpan(
        name,
        _context(run_id, place),
        None if parent is None else _context(run_id, parent),
        SERVICE,
        attributes,
        kind=kind,
        status=Status(StatusCode.UNSET if is_good else StatusCode.ERROR),
        start_time=begin,
        end_time=end,
    )


def _context(run_id: str, place: str) -> SpanContext:
    """The ids follow from the run and the place in it: each client sends its own calls, and they find their parents."""
    trace, span = (hashlib.sha256(text.encode()).digest() for text in (run_id, f"{run_id}/{place}"))
    return SpanContext(
        int.from_bytes(trace[:16]),
        int.from_bytes(span[:8]),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _is_during(moment: datetime, session: Session) -> bool:
    return session.started_at <= moment and (session.ended_at is None or moment <= session.ended_at)


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1e9)
