"""/metrics: figures from ledger, snapshots, Dagster's storage and settings, made at each scrape (docs/metrics.md).

Names, labels and meanings are those of docs/metrics.md, and a test compares them. Nothing is counted in the process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import version
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from safetyamp_pipelines.desk.view import Desk
from safetyamp_pipelines.ledger.totals import Waiting
from safetyamp_pipelines.operations.lease import who_pushes
from safetyamp_pipelines.operations.overdue import leavers_with_access
from safetyamp_pipelines.operations.reports.daily import percentile
from safetyamp_pipelines.operations.reports.waiting import wait_of
from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.settings.vault import secret_expiries
from safetyamp_pipelines.sync.entities.registry import ENTITIES, SCHEMAS
from safetyamp_pipelines.sync.rules.calendar import freeze_at
from safetyamp_pipelines.systems.http.budget_postgres import booked_calls

if TYPE_CHECKING:
    from safetyamp_pipelines.desk.dagster_side import DagsterSide

log = get_logger(__name__)

KEEP_SECONDS = 60.0
"""How long answers of the snapshot store and Key Vault are cached."""
KEEP_CERTIFICATES_SECONDS = 3600.0
AGES = (("1h", timedelta(hours=1)), ("1d", timedelta(days=1)), ("7d", timedelta(days=7)))
STATISTICS = (("median", 0.5), ("p95", 0.95), ("max", 1.0))
UNWELL_ENDS = ("stopped", "failed", "abandoned")
UNWELL_STATUSES = ("401", "403", "429", "500", "502", "503", "504", "none")
"""Their counters begin at zero: to Prometheus, one that appears with a figure has not increased."""
COMMON_STATUSES = frozenset({200, 201, 204, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504})

Source = Callable[[], Iterable[Metric]]


@dataclass(eq=False)
class Figures(Collector):
    """Collects all metrics. What a source cannot give is absent, and its `…_up` gauge is 0."""

    desk: Desk
    dagster: Callable[[], DagsterSide | None]
    certificates: Callable[[], Mapping[str, datetime]]
    _kept: dict[str, tuple[float, list[Metric]]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def collect(self) -> Iterator[Metric]:
        """Every metric, once."""
        started = monotonic()
        yield from self._settings()
        yield from self._source("safetyamp_ledger_up", "The ledger answers and is migrated", self._ledger)
        yield from self._source("safetyamp_snapshot_store_up", "The snapshot store could be listed", self._snapshots)
        yield from self._dagster()
        yield from self._safely(self._vault) or ()
        yield from self._safely(self._certificates) or ()
        yield gauge("collection_duration_seconds", "How long this answer took", value=monotonic() - started)

    def _source(self, up: str, about: str, collect: Source) -> Iterator[Metric]:
        found = self._safely(collect)
        yield gauge(up.removeprefix("safetyamp_"), about, value=0 if found is None else 1)
        yield from found or ()

    def _safely(self, collect: Source) -> list[Metric] | None:
        """The metrics of a source; None when it does not answer, so that it does not hide the others."""
        try:
            return list(collect())
        except Exception as error:  # noqa: BLE001 - whatever a database or a store raises
            log.warning("metrics_source_failed", source=getattr(collect, "__name__", ""), kind=type(error).__name__)
            return None

    def _kept_for(self, seconds: float, collect: Source) -> list[Metric]:
        with self._lock:
            name = collect.__name__
            if name not in self._kept or monotonic() - self._kept[name][0] >= seconds:
                self._kept[name] = (monotonic(), list(collect()))
            return self._kept[name][1]

    def _settings(self) -> Iterator[Metric]:
        settings, config = self.desk.settings, self.desk.config
        yield gauge("build_info", "The version of this release", "version", {(version("safetyamp-pipelines"),): 1})
        yield gauge("sync_interval_seconds", "SYNC_INTERVAL_MINUTES", value=settings.sync_interval_minutes * 60)
        frozen = freeze_at(config.schedule.freezes, self.desk.now(), config.schedule.timezone) is not None
        yield gauge("frozen", "Inside a freeze of sync.yaml", value=frozen)
        yield gauge("leaver_promise_seconds", "checks.leaver_hours", value=config.checks.leaver_hours * 3600)
        yield gauge("budget_limit_calls", "API_RATE_LIMIT_CALLS", value=settings.api_rate_limit_calls)

    def _ledger(self) -> Iterator[Metric]:
        ledger, now = self.desk.ledger, self.desk.now()
        pause, holder = ledger.pause_state(), who_pushes(ledger)
        yield gauge("paused", "Syncing is paused", value=pause is not None)
        yield gauge(
            "paused_since_timestamp_seconds", "Start of the pause", value=pause.at.timestamp() if pause else None
        )
        yield gauge("lease_held", "A push holds the lease", value=holder is not None)
        since = holder[1].timestamp() if holder else None
        yield gauge("lease_acquired_timestamp_seconds", "Since when the lease is held", value=since)
        yield from self._pushes()
        yield counter("changes", "Changes by action and final status", "entity action status", ledger.change_totals())
        runs = {spec.name: next(iter(ledger.runs(spec.name, 1)), None) for spec in ENTITIES}
        records = {(name, kind): number for name, run in runs.items() if run for kind, number in run.counts.items()}
        yield gauge("records", "Source records by verdict in the newest run", "entity verdict", records)
        yield from waiting_metrics(ledger.waiting(now), now)
        yield self._lag(now)
        yield from self._calls()

    def _pushes(self) -> Iterator[Metric]:
        totals = self.desk.ledger.session_totals()
        ended = {(one.entity, status): 0 for one in totals for status in UNWELL_ENDS}
        ended |= {(one.entity, one.status): one.sessions for one in totals if one.status != "running"}
        yield counter("pushes", "Ended sessions by status", "entity status", ended)
        durations = SummaryMetricFamily("safetyamp_push_duration_seconds", "Durations of sessions", labels=["entity"])
        for entity in sorted({one.entity for one in totals}):
            own = [one for one in totals if one.entity == entity and one.status != "running"]
            durations.add_metric([entity], sum(one.sessions for one in own), sum(one.seconds for one in own))
        yield durations
        success = {(one.entity,): one.last_whole for one in totals if one.status == "done" and one.last_whole}
        about = "End of the newest whole push that was done"
        yield gauge("push_last_success_timestamp_seconds", about, "entity", stamps(success))
        attempts: dict[tuple[str, ...], datetime] = {}
        for one in totals:
            attempts[one.entity,] = max(one.last_start, attempts.get((one.entity,), one.last_start))
        yield gauge("push_last_attempt_timestamp_seconds", "Start of the newest push", "entity", stamps(attempts))

    def _lag(self, now: datetime) -> Metric:
        """Waits from the source to SafetyAmp of the changes of the last day; at most, where both looks are known."""
        ledger, since = self.desk.ledger, now - timedelta(days=1)
        waits: dict[str, list[float]] = {}
        trails = {}
        for change in ledger.changes_intended(since, now):
            if change.entity not in trails:
                trails[change.entity] = ledger.trail(change.entity, since, now)
            if (wait := wait_of(change, trails[change.entity]).at_most) is not None:
                waits.setdefault(change.entity, []).append(wait.total_seconds())
        samples = {
            (entity, name): figure
            for entity, found in waits.items()
            for name, share in STATISTICS
            if (figure := percentile(sorted(found), share)) is not None
        }
        return gauge("lag_seconds", "Wait from source to SafetyAmp, last 24 hours", "entity statistic", samples)

    def _calls(self) -> Iterator[Metric]:
        totals = self.desk.ledger.call_totals()
        by_status = Counter[tuple[str, ...]]({(one.system, status): 0 for one in totals for status in UNWELL_STATUSES})
        for one in totals:
            by_status[one.system, status_label(one.status)] += one.calls
        yield counter("calls", "Calls by system and HTTP status", "system status", by_status)
        durations = SummaryMetricFamily("safetyamp_call_duration_seconds", "Durations of calls", labels=["system"])
        for system in sorted({one.system for one in totals}):
            own = [one for one in totals if one.system == system]
            durations.add_metric([system], sum(one.calls for one in own), sum(one.seconds for one in own))
        yield durations
        waited = sum(one.waited for one in totals if one.system == "safetyamp")
        yield counter("budget_wait_seconds", "Time calls waited for the budget", "", {(): waited})
        settings = self.desk.settings
        if settings.safetyamp_token is not None:
            after = self.desk.now().timestamp() - settings.api_rate_limit_period
            booked = sum(at > after for at in booked_calls(settings))
            yield gauge("budget_calls", "Calls to SafetyAmp in the current period", value=booked)

    def _snapshots(self) -> list[Metric]:
        return self._kept_for(KEEP_SECONDS, self._read_snapshots)

    def _read_snapshots(self) -> Iterator[Metric]:
        newest = {(table,): ref for table in SCHEMAS if (ref := self.desk.store.newest(table)) is not None}
        at = {key: datetime.fromisoformat(ref.published_at) for key, ref in newest.items()}
        yield gauge("snapshot_timestamp_seconds", "When the newest snapshot was published", "table", stamps(at))
        rows = {key: ref.content.get("certificate", {}).get("rows") for key, ref in newest.items()}
        counted = {key: number for key, number in rows.items() if isinstance(number, int)}
        yield gauge("snapshot_records", "Records of the newest snapshot", "table", counted)
        on = leavers_with_access(self.desk.store, self.desk.ledger, self.desk.config)
        if on is not None:
            yield gauge("leavers_with_access", "People who left and can still log in", value=len(on))
            longest = max((self.desk.now() - ended for ended in on.values()), default=timedelta())
            yield gauge("leaver_lag_seconds", "Longest time one of them kept access", value=longest.total_seconds())

    def _dagster(self) -> Iterator[Metric]:
        found = self._safely(self._from_dagster)
        if found != []:
            yield gauge("dagster_up", "Dagster's storage answers", value=0 if found is None else 1)
            yield from found or ()

    def _from_dagster(self) -> Iterator[Metric]:
        dagster, now = self.dagster(), self.desk.now()
        if dagster is None:
            return
        yield gauge(
            "quarantined", "Repeated failures slow the schedule", value=dagster.why_quarantined(now) is not None
        )
        beats = {(name,): at for name, at in dagster.heartbeats().items()}
        yield gauge("daemon_heartbeat_timestamp_seconds", "Newest heartbeat of a daemon", "daemon", stamps(beats))
        runs = dagster.runs(now)
        yield gauge("runs", "Runs queued or running now", "job status", dict(runs.now))
        yield gauge("runs_last_day", "Runs that ended in the last 24 hours", "job outcome", dict(runs.last_day))
        durations = {(job,): seconds for job, seconds in runs.durations.items()}
        yield gauge("run_last_duration_seconds", "Duration of the newest run that ended", "job", durations)
        undelivered = dagster.undelivered()
        numbers = {(channel,): len(found) for channel, found in undelivered.items()}
        yield gauge("alerts_undelivered", "Problems a channel has not delivered yet", "channel", numbers)
        oldest = {(channel,): min(found) for channel, found in undelivered.items() if found}
        about = "Since when the oldest of them waits"
        yield gauge("alerts_undelivered_oldest_timestamp_seconds", about, "channel", oldest)

    def _vault(self) -> list[Metric]:
        return self._kept_for(KEEP_SECONDS, self._read_vault)

    def _read_vault(self) -> Iterator[Metric]:
        url = self.desk.settings.vault_url()
        expiries = {(variable,): at for variable, at in secret_expiries(url).items()} if url is not None else {}
        yield gauge("secret_expiry_timestamp_seconds", "Expiry date of a secret", "secret", stamps(expiries))

    def _certificates(self) -> list[Metric]:
        return self._kept_for(KEEP_CERTIFICATES_SECONDS, self._look_at_certificates)

    def _look_at_certificates(self) -> Iterator[Metric]:
        ends = {(system,): at for system, at in self.certificates().items()}
        about = "End of a system's TLS certificate"
        yield gauge("certificate_expiry_timestamp_seconds", about, "system", stamps(ends))


def waiting_metrics(waiting: Iterable[Waiting], now: datetime) -> Iterator[Metric]:
    """What waits for people, by entity, state and age, and the oldest of each."""
    numbers: Counter[tuple[str, ...]] = Counter()
    oldest: dict[tuple[str, ...], datetime] = {}
    for one in waiting:
        kind = (one.entity, one.state)
        bucket = next((name for name, limit in AGES if now - one.since <= limit), "older")
        numbers[*kind, bucket] += 1
        oldest[kind] = min(one.since, oldest.get(kind, one.since))
    yield gauge("waiting_records", "Records that wait for people", "entity state age", numbers)
    about = "Since when the oldest of them waits"
    yield gauge("waiting_oldest_timestamp_seconds", about, "entity state", stamps(oldest))


def gauge(
    name: str,
    about: str,
    labels: str = "",
    samples: Mapping[Any, float] | None = None,
    *,
    value: float | None = None,
) -> GaugeMetricFamily:
    """A gauge of one `value`, or of `samples` by their labels; without either it has no sample."""
    family = GaugeMetricFamily(f"safetyamp_{name}", about, labels=labels.split())
    if value is not None:
        family.add_metric([], float(value))
    for key, sample in sorted((samples or {}).items()):
        family.add_metric(list(key), float(sample))
    return family


def counter(name: str, about: str, labels: str, samples: Mapping[Any, float]) -> CounterMetricFamily:
    """A counter; the format adds `_total` to its name."""
    family = CounterMetricFamily(f"safetyamp_{name}", about, labels=labels.split())
    for key, sample in sorted(samples.items()):
        family.add_metric(list(key), float(sample))
    return family


def stamps(moments: Mapping[Any, datetime]) -> dict[Any, float]:
    """Times in seconds since 1970."""
    return {key: at.timestamp() for key, at in moments.items()}


def status_label(status: int | None) -> str:
    """`none` without an answer; a status that is rare shares a label, so that there are few of them."""
    if status is None:
        return "none"
    return str(status) if status in COMMON_STATUSES else "other"
