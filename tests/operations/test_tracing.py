"""A run as a trace: run, push and call find each other at a real receiver of OTLP, and nothing of a value is in it."""

from __future__ import annotations

import gzip
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from commands import in_this_process

from safetyamp_pipelines.cli.running import run_entities
from safetyamp_pipelines.operations.progress import LogProgress
from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra `otel` is not installed")


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """Its address, and the spans that came."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    spans: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", spans
    finally:
        server.shutdown()
        server.server_close()


class Terminated(LogProgress):
    """The process gets a SIGTERM after the first change."""

    def of(self, entity: str, calls: Callable[[], int]) -> Callable[[int, int], None]:
        return lambda settled, _: os.kill(os.getpid(), signal.SIGTERM) if settled == 1 else None


def test_a_run_is_one_trace_of_its_pushes_and_their_calls_also_when_it_is_terminated() -> None:
    with (
        Sandbox(WorldSpec(employees=12, jobs=4, vehicles=2, mess=False), TargetOptions(calls=100_000)) as box,
        collector() as (url, spans),
    ):
        silent = in_this_process(box, "plan", "titles")
        assert (silent.exit_code, spans) == (0, []), silent.told
        assert in_this_process(box, "sync", "titles", OTEL_EXPORTER_OTLP_ENDPOINT=url).exit_code == 0
        made = len(box.requests("safetyamp"))
        calm = [*spans]
        spans.clear()
        box.sources.hire("Ada", "Sample", udEmpTitle="Stargazer")
        ended = run_entities(
            ["titles"],
            push=True,
            environ={**box.environment, "OTEL_EXPORTER_OTLP_ENDPOINT": url},
            progress=Terminated(),
        )
        cut = {span.name for span in spans}
        gone = in_this_process(box, "plan", "titles", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")

    assert "interrupted" in ended.causes[0].text
    assert {"run", "push titles", "POST /api/user_titles"} <= cut
    spans = calm
    (run,) = [span for span in spans if not span.parent_span_id]
    (push,) = [span for span in spans if span.name == "push titles"]
    posts = [span for span in spans if span.name == "POST /api/user_titles"]
    assert (run.name, push.parent_span_id) == ("run", run.span_id)
    assert {span.trace_id for span in spans} == {run.trace_id}
    assert posts
    assert {span.parent_span_id for span in posts} == {push.span_id}
    assert len(spans) <= 2 + made
    assert run.start_time_unix_nano <= push.start_time_unix_nano <= push.end_time_unix_nano <= run.end_time_unix_nano
    assert gone.exit_code == 0
    titles = {str(row["udEmpTitle"]) for row in box.world.viewpoint["bPREH"] if row["udEmpTitle"]}
    assert not [title for title in titles if title in str(spans)]
