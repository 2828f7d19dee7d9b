"""Notifies people of what went wrong, once, and of its end: one sensor over the event log of all runs, with a cursor.

A sensor on failed runs would lose an alert whenever the mail server is down. This one returns a
cursor that holds what is still to be sent; whatever happens before that return happens again at the next tick.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from safetyamp_pipelines.automation.alerting.event_log import Reader
from safetyamp_pipelines.automation.alerting.events import ends_of_syncs, newest, page_after
from safetyamp_pipelines.automation.alerting.sending import deliver, links_of
from safetyamp_pipelines.automation.alerting.standing import error_signal, pause_signal, quarantine_signals
from safetyamp_pipelines.automation.operator_jobs import OPERATOR_JOBS
from safetyamp_pipelines.operations.alerts.channels import HOW_TO_CONFIGURE
from safetyamp_pipelines.operations.alerts.memory import Memory
from safetyamp_pipelines.operations.alerts.messages import Links
from safetyamp_pipelines.operations.alerts.problems import Signal, State, absorb
from safetyamp_pipelines.resources.keys import ALERT_SENSOR
from safetyamp_pipelines.resources.systems import LedgerResource, NotifierResource, SettingsResource
from safetyamp_pipelines.settings.loading import TimingSettings
from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.settings.model import SettingsError
from safetyamp_pipelines.sync.model.errors import NotDelivered, SyncError
from safetyamp_pipelines.sync.rules.calendar import freeze_at

EVERY_SECONDS = 30
QUIET_JOBS = frozenset(job.name for job in OPERATOR_JOBS)
"""A person who starts one of these sees its result."""
log = get_logger(__name__)


def alert_sensor(timing: TimingSettings) -> dg.SensorDefinition:
    """On wherever somebody can be notified, as far as is known when Dagster loads the definitions."""

    @dg.sensor(
        name=ALERT_SENSOR,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING if timing.may_alert else dg.DefaultSensorStatus.STOPPED,
        description="Notifies people by mail and webhook of what needs attention: at once when it is critical, else "
        "once an hour; and when it is over. Each tick lists what it did. Try it: `safetyamp alerts test`.",
    )
    def alerts(
        context: dg.SensorEvaluationContext,
        sync_settings: SettingsResource,
        ledger: LedgerResource,
        notifier: NotifierResource,
    ) -> dg.SensorResult:
        channels, now = notifier.channels(), datetime.now(UTC)
        known = Memory.load(context.cursor) if context.cursor else Memory(newest(context.instance))
        seen = _look(context, known.after, sync_settings, ledger, now)
        # What a channel has not sent yet waits while wrong settings leave that channel out.
        states = {**known.channels} if seen.wrong else {}
        done, is_well = [seen.wrong] if seen.wrong else [], not seen.wrong
        for name, channel in channels.items():
            state = absorb(known.channels.get(name, State()), seen.signals)
            states[name], what, is_delivered = deliver(name, channel, state, seen.links, now.timestamp())
            done += [f"{name}: {what}"] if what else []
            is_well = is_well and is_delivered
        if is_well:  # otherwise the service that expects the heartbeat raises the alarm
            _beat(notifier)
        nothing = "nothing new to report" if channels else f"nobody can be notified: {HOW_TO_CONFIGURE}"
        return dg.SensorResult(skip_reason="; ".join(done) or nothing, cursor=Memory(seen.after, states).dump())

    return alerts


@dataclass(frozen=True)
class _Seen:
    """What one tick found: everything up to the event `after`; while settings are `wrong`, only that."""

    after: int
    signals: list[Signal]
    links: Links = field(default_factory=Links)
    wrong: str = ""


def _look(
    context: dg.SensorEvaluationContext,
    after: int,
    sync_settings: SettingsResource,
    ledger: LedgerResource,
    now: datetime,
) -> _Seen:
    """What happened since, and the problems that no event reports, in order."""
    try:
        settings = sync_settings.get()
    except SettingsError as error:
        return _Seen(after, [error_signal("settings", error, now)], wrong=f"the settings are wrong: {error}")
    page = page_after(context.instance, after, now.timestamp())
    schedule = settings.sync_config().schedule
    is_paused, standing = _asked(ledger, now, schedule.timezone)
    rests = is_paused or freeze_at(schedule.freezes, now, schedule.timezone) is not None
    reader = Reader(context.instance, _described(context), QUIET_JOBS, rests)
    signals = [*reader.signals(page.events), error_signal("settings", None, now), *standing]
    if ended := ends_of_syncs(page):
        signals += quarantine_signals(context.instance, settings, ended[-1].timestamp)
    return _Seen(page.after, signals, links_of(settings))


def _asked(ledger: LedgerResource, now: datetime, timezone: str) -> tuple[bool, list[Signal]]:
    """Whether syncing is paused, and the signals of the ledger. A ledger that cannot be read is one too."""
    try:
        pause = ledger.get().pause_state()
    except SyncError as error:
        return False, [error_signal("ledger", error, now)]
    signal = pause_signal(pause, now, timezone)
    return pause is not None, [error_signal("ledger", None, now), *([signal] if signal is not None else [])]


def _described(context: dg.SensorEvaluationContext) -> Callable[[dg.AssetCheckKey], str]:
    """The description of each check; none for one that was renamed or removed since."""
    defined = context.repository_def.asset_graph if context.repository_def is not None else None

    def description(key: dg.AssetCheckKey) -> str:
        if defined is None or key not in defined.asset_check_keys:
            return ""
        return defined.get_check_spec(key).description or ""

    return description


def _beat(notifier: NotifierResource) -> None:
    """A heartbeat that cannot be sent is reported by the service that expects it; nothing here depends on it."""
    try:
        notifier.beat()
    except NotDelivered as error:
        log.warning("no_heartbeat", reason=str(error))
