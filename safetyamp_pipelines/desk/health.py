"""The endpoints for machines: /live, /ready, /health and /metrics. They need no login and contain no personal data."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from safetyamp_pipelines.desk.metrics import Figures
from safetyamp_pipelines.desk.view import Desk
from safetyamp_pipelines.operations.doctor import examine
from safetyamp_pipelines.settings.loading import has_dagster_home
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import SyncError

if TYPE_CHECKING:
    from safetyamp_pipelines.desk.dagster_side import DagsterSide

ASK_EVERY = 60.0
"""Seconds: a more frequent probe gets the last answer."""
HEARTBEAT_MAX = timedelta(minutes=5)
CONNECT_SECONDS = 5.0
LAST_READ = {"viewpoint": "viewpoint/employees", "entra": "entra/users", "samsara": "samsara/vehicles"}
"""For each source, a snapshot that shows when it was last read whole."""


@dataclass
class Health:
    """What the desk knows of its dependencies. Safe for several threads."""

    desk: Desk
    _asked: tuple[float, dict[str, Any]] | None = None
    _dagster: DagsterSide | None = None
    _lock: Lock = field(default_factory=Lock)

    def dagster(self) -> DagsterSide | None:
        """Dagster's storage, None where it has no home. Raises Refusal when it cannot be opened."""
        if not has_dagster_home():
            return None
        with self._lock:
            if self._dagster is None:
                # Dagster: two seconds and a hundred megabytes that pages and /live do without.
                from safetyamp_pipelines.desk.dagster_side import DagsterSide

                self._dagster = DagsterSide(self.desk.settings)
            return self._dagster

    def ready(self) -> tuple[bool, dict[str, str]]:
        """Whether pages and decisions work: the ledger answers, and Dagster's daemon is alive where there is one."""
        parts = {"ledger": _attempt(lambda: self.desk.ledger.pause_state())}
        if has_dagster_home():
            parts["dagster"] = _attempt(self._require_heartbeat)
        return all(text == "ok" for text in parts.values()), parts

    def _require_heartbeat(self) -> None:
        dagster = self.dagster()
        newest = max(dagster.heartbeats().values(), default=None) if dagster is not None else None
        if newest is None or self.desk.now() - newest > HEARTBEAT_MAX:
            since = "never" if newest is None else f"{newest:%Y-%m-%d %H:%M} UTC"
            raise SyncError(f"last heartbeat of Dagster's daemon: {since}")

    def report(self, *, ask: bool) -> dict[str, Any]:
        """Each dependency with the age and result of its last real use, and the overall state."""
        now = self.desk.now()
        is_ready, parts = self.ready()
        late = 4 * max(timedelta(minutes=self.desk.settings.sync_interval_minutes), timedelta(minutes=30))
        uses = self._last_uses() if parts["ledger"] == "ok" else {}
        dependencies = {
            name: {
                "at": at.isoformat(timespec="seconds"),
                "age_seconds": round((now - at).total_seconds()),
                "result": result,
                "ok": result == "ok" and now - at <= late,
            }
            for name, (at, result) in uses.items()
        }
        asked = self._ask() if ask else None
        is_fine = all(one["ok"] for one in dependencies.values()) and all(
            one["ok"] for one in (asked or {"answers": {}})["answers"].values()
        )
        return {
            "status": "failed" if not is_ready else "ok" if is_fine else "degraded",
            "ready": parts,
            "last_use": dependencies,
            **({"asked": asked} if asked is not None else {}),
        }

    def _last_uses(self) -> dict[str, tuple[datetime, str]]:
        """By system: when it was last really used, with the result. A system that was never used is left out."""
        found = {}
        for system, table in LAST_READ.items():
            if (ref := self.desk.store.newest(table)) is not None:
                found[system] = (datetime.fromisoformat(ref.published_at), "ok")
        for call in self.desk.ledger.last_calls():
            is_fine = call.status is not None and (call.status < 400 or call.status in (404, 409, 422))
            result = "ok" if is_fine else f"status {call.status}" if call.status else "no answer"
            if call.system not in found or found[call.system][0] <= call.at:
                found[call.system] = (call.at, result)
        return found

    def _ask(self) -> dict[str, Any]:
        """Every system asked now, at most once a minute."""
        with self._lock:
            if self._asked is None or monotonic() - self._asked[0] >= ASK_EVERY:
                findings = examine(self.desk.settings)
                answers = {finding.system: {"ok": finding.ok, "text": finding.text} for finding in findings}
                at = self.desk.now().isoformat(timespec="seconds")
                self._asked = (monotonic(), {"at": at, "answers": answers})
            return self._asked[1]


def machine_routes(desk: Desk) -> list[Route]:
    """The endpoints. `/metrics` is collected at each scrape, so every replica gives the same answer."""
    health = Health(desk)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(desk, health.dagster, lambda: certificates_of(desk.settings)))

    def live(_request: Request) -> Response:
        return PlainTextResponse("alive\n")

    def ready(_request: Request) -> Response:
        is_ready, parts = health.ready()
        return JSONResponse({"ready": is_ready, **parts}, 200 if is_ready else 503)

    def report(request: Request) -> Response:
        document = health.report(ask=request.query_params.get("ask") == "1")
        return JSONResponse(document, 503 if document["status"] == "failed" else 200)

    def metrics(request: Request) -> Response:
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=media_type)

    return [Route("/live", live), Route("/ready", ready), Route("/health", report), Route("/metrics", metrics)]


def certificates_of(settings: Settings) -> dict[str, datetime]:
    """By system, the end of the certificate it presents now; without those that do not answer, or not by https."""
    urls = {
        "safetyamp": settings.safetyamp_base_url,
        "samsara": settings.samsara_base_url,
        "entra": settings.ms_graph_base_url,
    }
    trusted = ssl.create_default_context(cafile=settings.requests_ca_bundle)
    found = {}
    for system, url in urls.items():
        address = urlsplit(url)
        if address.scheme != "https" or address.hostname is None:
            continue
        try:
            with (
                socket.create_connection((address.hostname, address.port or 443), CONNECT_SECONDS) as plain,
                trusted.wrap_socket(plain, server_hostname=address.hostname) as secure,
            ):
                ends = secure.getpeercert() or {}
        except OSError:  # `doctor` beside it says what is wrong
            continue
        found[system] = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(ends["notAfter"])), UTC)
    return found


def _attempt(use: Callable[[], object]) -> str:
    try:
        use()
    except SyncError as error:
        return str(error)
    return "ok"
