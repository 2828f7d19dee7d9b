"""A run as a trace: run, push and call find each other at a real receiver of OTLP, and nothing of a value is in it."""

from __future__ import annotations

import gzip
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from commands import in_this_process
from scripted_server import Asked, ScriptedServer, raw

from safetyamp_pipelines.cli.running import run_entities
from safetyamp_pipelines.operations.progress import LogProgress
from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra `otel` is not installed")


def spans_of(asked: Sequence[Asked]) -> list[Any]:
    """The spans in what a receiver of OTLP was sent."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    bodies = [gzip.decompress(one.body) if "gzip" in one.headers.values() else one.body for one in asked]
    resources = [resource for body in bodies for resource in ExportTraceServiceRequest.FromString(body).resource_spans]
    return [span for resource in resources for scope in resource.scope_spans for span in scope.spans]


class Terminated(LogProgress):
    """The process gets a SIGTERM after the first change."""

    def of(self, entity: str, calls: Callable[[], int]) -> Callable[[int, int], None]:
        return lambda settled, _: os.kill(os.getpid(), signal.SIGTERM) if settled == 1 else None


def test_a_run_is_one_trace_of_its_pushes_and_their_calls_also_when_it_is_terminated(
    server: ScriptedServer,
) -> None:
    server.script(raw(200))
    with Sandbox(WorldSpec(employees=12, jobs=4, vehicles=2, mess=False), TargetOptions(calls=100_000)) as box:
        silent = in_this_process(box, "plan", "titles")
        assert (silent.exit_code, server.asked) == (0, []), silent.told
        assert in_this_process(box, "sync", "titles", OTEL_EXPORTER_OTLP_ENDPOINT=server.url).exit_code == 0
        made = len(box.requests("safetyamp"))
        calm = [*server.asked]
        box.sources.hire("Ada", "Sample", udEmpTitle="Stargazer")
        ended = run_entities(
            ["titles"],
            push=True,
            environ={**box.environment, "OTEL_EXPORTER_OTLP_ENDPOINT": server.url},
            progress=Terminated(),
        )
        cut = {span.name for span in spans_of(server.asked[len(calm) :])}
        gone = in_this_process(box, "plan", "titles", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")

    assert "interrupted" in ended.causes[0].text
    assert {"run", "push titles", "POST /api/user_titles"} <= cut
    spans = spans_of(calm)
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
