"""Notifies the owners of records that wait for people, after each sync.

A sensor of its own, since it reads snapshots: a slow store must delay no alert and no heartbeat.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import dagster as dg

from safetyamp_pipelines.automation.alerting.events import ends_of_syncs, newest, page_after
from safetyamp_pipelines.automation.alerting.sending import deliver, links_of
from safetyamp_pipelines.automation.alerting.standing import waiting_signals
from safetyamp_pipelines.operations.alerts.channels import Channel
from safetyamp_pipelines.operations.alerts.memory import Memory
from safetyamp_pipelines.operations.alerts.problems import State, absorb
from safetyamp_pipelines.resources.keys import OWNER_SENSOR
from safetyamp_pipelines.resources.systems import LedgerResource, NotifierResource, SettingsResource
from safetyamp_pipelines.settings.loading import TimingSettings
from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.settings.model import SettingsError
from safetyamp_pipelines.sync.model.errors import SyncError

EVERY_SECONDS = 60
log = get_logger(__name__)


def owner_sensor(timing: TimingSettings) -> dg.SensorDefinition:
    """On wherever somebody can be notified; without owners in sync.yaml its ticks report that."""

    @dg.sensor(
        name=OWNER_SENSOR,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING if timing.may_alert else dg.DefaultSensorStatus.STOPPED,
        description="After a sync, mails the owners of records that wait for people (`owners` of sync.yaml) a digest "
        "of them, with their ages; records without an owner go to everybody.",
    )
    def owner_digests(
        context: dg.SensorEvaluationContext,
        sync_settings: SettingsResource,
        ledger: LedgerResource,
        notifier: NotifierResource,
    ) -> dg.SensorResult | dg.SkipReason:
        now = datetime.now(UTC)
        try:
            settings = sync_settings.get()
        except SettingsError:
            return dg.SkipReason("the settings are wrong: the sensor alerts reports it")
        known = Memory.load(context.cursor) if context.cursor else Memory(newest(context.instance))
        if not settings.sync_config().owners.addresses():
            return dg.SensorResult(skip_reason="sync.yaml names no owners", cursor=Memory(known.after).dump())
        page, waiting, done = page_after(context.instance, known.after, now.timestamp()), {}, list[str]()
        after = page.after
        if ends_of_syncs(page):
            try:
                waiting = waiting_signals(settings, ledger.get(), now)
            except (SyncError, OSError) as error:
                log.warning("no_digest_for_owners", reason=str(error))
                after, done = known.after, [f"the waiting records could not be read, tried again: {error}"]
        states = {}
        for name, (channel, address) in _targets(notifier).items():
            state = absorb(known.channels.get(name, State()), waiting.get(address, ()))
            states[name], what, _ = deliver(name, channel, state, links_of(settings), now.timestamp())
            done += [f"{name}: {what}"] if what else []
        return dg.SensorResult(skip_reason="; ".join(done) or "nothing new", cursor=Memory(after, states).dump())

    return owner_digests


def _targets(notifier: NotifierResource) -> Mapping[str, tuple[Channel, str]]:
    """Channels by their name in the cursor, each with the owner's address; "" is for records without an owner."""
    everybody = {f"{name}, of nobody's": (channel, "") for name, channel in notifier.channels().items()}
    return {**everybody, **{owned.name: (owned, address) for address, owned in notifier.owners().items()}}
