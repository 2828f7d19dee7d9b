"""When something starts by itself: paused, frozen, busy or unhealthy, a tick is skipped and says why."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from safetyamp_pipelines.automation.starting.schedules import sync_schedules
from safetyamp_pipelines.automation.starting.timing import GOING_ON, is_partial, why_paused_or_busy, why_wait
from safetyamp_pipelines.ledger import Ledger, LedgerUnusable
from safetyamp_pipelines.operations.processes import this_process
from safetyamp_pipelines.resources.keys import PROCESS_TAG, RESTED_TAG, SYNC_TAG, asset_key
from safetyamp_pipelines.resources.run_console import CONSOLE
from safetyamp_pipelines.resources.systems import LedgerResource, SettingsResource
from safetyamp_pipelines.settings.loading import TimingSettings, timing_settings
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.rules.config import SyncConfig

CHICAGO = ZoneInfo("America/Chicago")
NOON = datetime(2026, 11, 20, 18, tzinfo=UTC)
Status = dg.DagsterRunStatus


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


@pytest.fixture
def kept(kept_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """One with files: Dagster gives no other to a schedule."""
    return kept_instance


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


def settings(minutes: int = 15, **schedule: object) -> Settings:
    made = Settings(sync_interval_minutes=minutes)
    made._sync_config = SyncConfig.model_validate({"schedule": schedule})
    return made


def add_run(instance: dg.DagsterInstance, status: Status, job: str = "sync_all", **more) -> str:
    """A run in this state, as Dagster keeps it."""
    run = dg.DagsterRun(job_name=job, status=status, tags={SYNC_TAG: "push"} if job.startswith("sync_") else {}, **more)
    instance.add_run(run)
    return run.run_id


def why(instance: dg.DagsterInstance, ledger: Ledger, now: datetime | None = None, **schedule: object) -> str | None:
    return why_wait(instance, ledger, settings(**schedule), now or datetime.now(UTC))


# --- pause, freeze, busy ---


def test_nothing_stands_against_a_first_tick(instance, ledger):
    assert why(instance, ledger) is None


def test_a_pause_is_told_with_who_why_and_since_when(instance, ledger):
    ledger.pause("Kim", "stock-taking")

    told = why(instance, ledger)

    assert "paused by Kim since 20" in told
    assert "stock-taking" in told
    assert "resume_syncing" in told
    ledger.resume("Kim")
    assert why(instance, ledger) is None


def test_a_freeze_is_told_with_its_end_and_reason(instance, ledger):
    freezes = [{"starts": "Fri 12:00", "ends": "Sat 06:00", "reason": "payroll is posted"}]

    told = why(instance, ledger, NOON, freezes=freezes)

    assert "frozen from Fri 12:00 until Sat 06:00 (America/Chicago): payroll is posted" in told
    assert why(instance, ledger, NOON - timedelta(minutes=1), freezes=freezes) is None
    assert "(UTC)" in str(why(instance, ledger, NOON, freezes=freezes, timezone="UTC"))


@pytest.mark.parametrize("status", [status for status in GOING_ON if status is not Status.QUEUED])
def test_a_sync_in_any_state_but_the_three_ends_makes_the_next_tick_wait(instance, ledger, status):
    run_id = add_run(instance, status, "sync_titles")

    told = why(instance, ledger)

    assert f"sync_titles {run_id[:8]}, {status.value.lower()} since" in told


def test_a_suspended_run_counts_as_going_on_and_an_ended_one_or_a_plan_does_not(instance, ledger):
    assert {Status("SUSPENDED"), Status.QUEUED} <= set(GOING_ON)
    for status in (Status.SUCCESS, Status.FAILURE, Status.CANCELED):
        add_run(instance, status)
    add_run(instance, Status.STARTED, "plan_all")

    assert why(instance, ledger) is None


def test_a_push_that_dagsters_queue_does_not_know_is_seen_by_its_lease(instance, ledger):
    lease = ledger.acquire_lease("push", "run 1234 on a laptop", 60)

    assert "run 1234 on a laptop" in why(instance, ledger)
    ledger.release(lease)
    assert why(instance, ledger) is None


# --- quarantine ---


def fail(instance: dg.DagsterInstance, number: int = 1, **more) -> None:
    for _ in range(number):
        add_run(instance, Status.FAILURE, **more)


def test_three_failures_in_a_row_slow_the_rhythm_and_one_good_run_restores_it(instance, ledger):
    fail(instance, 2)
    assert why(instance, ledger) is None

    fail(instance)
    told = why(instance, ledger)
    later = datetime.now(UTC) + timedelta(hours=1)

    assert "the last 3 syncs failed, so the rhythm is slowed to 1 h: tried again at about 20" in told
    assert why(instance, ledger, later) is None
    fail(instance)
    assert "slowed to 6 h" in why(instance, ledger, later)
    fail(instance, 3)
    assert "slowed to 24 h" in why(instance, ledger, later)
    stopped = add_run(instance, Status.SUCCESS)
    instance.add_run_tags(stopped, {RESTED_TAG: "paused by Kim"})
    assert "slowed to 24 h" in why(instance, ledger, later)
    again = add_run(instance, Status.SUCCESS, parent_run_id=stopped, root_run_id=stopped)
    instance.add_run_tags(again, {RESTED_TAG: ""})  # as a run begins that repeats another
    assert why(instance, ledger) is None


def test_a_canceled_run_says_nothing_about_the_health(instance, ledger):
    fail(instance, 2)
    add_run(instance, Status.CANCELED)
    fail(instance)

    assert "slowed" in why(instance, ledger)
    add_run(instance, Status.CANCELED)
    assert "slowed" in why(instance, ledger)


def test_a_sync_of_one_entity_one_key_or_a_dry_run_neither_counts_nor_restores(instance, ledger):
    fail(instance, 3)
    form = {"resources": {"push_config": {"config": {"dry_run": True}}}}
    add_run(instance, Status.SUCCESS, run_config=form)
    add_run(instance, Status.SUCCESS, asset_selection=frozenset({asset_key("safetyamp/user_titles")}))
    add_run(instance, Status.SUCCESS, "sync_titles")

    assert "the last 3 syncs failed" in why(instance, ledger)


def test_what_is_partial_is_found_wherever_it_was_asked_for():
    assert is_partial({"ops": {"safetyamp__users": {"config": {"only_keys": ["100482"]}}}})
    assert not is_partial({"resources": {"push_config": {"config": {"dry_run": False, "only_keys": []}}}})
    assert not is_partial({})


def test_the_single_syncs_do_not_know_quarantine(instance, ledger):
    fail(instance, 5)

    assert why_paused_or_busy(instance, ledger, settings().sync_config().schedule, NOON) is None


def test_a_run_elsewhere_whose_beats_have_stopped_or_never_began_makes_nobody_wait(instance, ledger, tmp_path):
    # given four runs that go on by Dagster: one was last heard of two minutes ago, one never, one just now; and one of
    # a process of this machine, which has slept
    silent, mute, woken, alive = (add_run(instance, Status.STARTED) for _ in range(4))
    for run_id in (silent, alive):
        instance.add_run_tags(run_id, {PROCESS_TAG: "elsewhere (process 1, begun 1-1)"})
    instance.add_run_tags(woken, {PROCESS_TAG: this_process()})
    before = datetime.now(UTC) - timedelta(seconds=121)
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db", clock=lambda: before) as then:
        then.beat(silent, "elsewhere", 120.0)
        then.beat(woken, this_process(), 120.0)
    ledger.beat(alive, "elsewhere", 120.0)
    for run_id in (mute, alive):
        began = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "sync_all")
        entry = dg.EventLogEntry(None, 10, "", run_id, before.timestamp(), dagster_event=began)
        instance.handle_new_event(entry)

    assert f"sync_all {alive[:8]}, started" in str(why(instance, ledger))
    assert [instance.get_run_by_id(one).status for one in (silent, mute)] == [Status.FAILURE] * 2
    assert [instance.get_run_by_id(one).status for one in (woken, alive)] == [Status.STARTED] * 2


def test_a_run_that_repeats_another_is_not_taken_for_dead_because_the_process_of_that_one_is(instance, ledger):
    # given a run whose process is gone, and one that the UI started from it: Dagster copies the tags
    gone = {PROCESS_TAG: re.sub(r"begun \d+", "begun 1", this_process())}
    first = add_run(instance, Status.STARTED)
    again = add_run(instance, Status.STARTING, parent_run_id=first, root_run_id=first)
    for run_id in (first, again):
        instance.add_run_tags(run_id, gone)

    assert f"sync_all {again[:8]}, starting" in str(why(instance, ledger))
    assert instance.get_run_by_id(first).status is Status.FAILURE


# --- the schedules ---

ON = TimingSettings(15, is_on=True, is_on_source_change=False, timezone="America/Chicago", problems=())


def tick(instance: dg.DagsterInstance, environ: dict[str, str], name: str = "sync_all_schedule") -> dg.RunRequest | str:
    """What the schedule says at a tick that is due now: the run it asks for, or why it is skipped."""
    (schedule,) = [one for one in sync_schedules(ON) if one.name == name]
    source = SettingsResource.of(environ)
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime.now(UTC),
        resources={"sync_settings": source, "ledger": LedgerResource(settings=source)},
    ) as context:
        data = schedule.evaluate_tick(context)
    return data.skip_message if data.skip_message is not None else data.run_requests[0]


def test_a_tick_starts_a_run_that_says_why_it_started_or_tells_why_it_does_not(kept, tmp_path):
    environ = {"LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db"}

    started = tick(kept, environ)
    with Ledger.open(environ["LEDGER_URL"]) as ledger:
        ledger.pause("Kim", "stock-taking")

    assert (started.tags["safetyamp/cause"], started.run_config) == ("schedule", CONSOLE)
    assert "paused by Kim" in tick(kept, environ)
    assert "paused by Kim" in tick(kept, environ, "sync_titles_schedule")


def test_a_tick_that_cannot_ask_the_ledger_fails_loudly_and_starts_nothing(kept, tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(dg.DagsterUserCodeExecutionError) as caught:
        tick(kept, {"LEDGER_URL": f"sqlite:///{tmp_path}/file/ledger.db"})

    assert isinstance(caught.value.__cause__, LedgerUnusable)


def test_only_the_whole_sync_is_switched_on_by_the_environment():
    on = {one.name for one in sync_schedules(ON) if one.default_status is dg.DefaultScheduleStatus.RUNNING}

    assert on == {"sync_all_schedule"}


def test_a_wrong_setting_is_told_on_the_schedule_and_its_default_holds():
    timing = timing_settings({"SYNC_INTERVAL_MINUTES": "7", "SYNC_CONFIG": "/nowhere.yaml"}, None)

    whole = sync_schedules(timing)[0]

    assert whole.cron_schedule == "*/15 * * * *"
    assert "SYNC_INTERVAL_MINUTES: is not a rhythm" in whole.description
    assert "SYNC_CONFIG" in whole.description


def test_the_interval_switch_and_time_zone_come_from_the_environment_the_env_file_and_sync_yaml(tmp_path):
    rules, env_file = tmp_path / "sync.yaml", tmp_path / "test.env"
    rules.write_text("schedule: {timezone: Europe/Berlin}\n", encoding="utf-8")
    env_file.write_text("SYNC_INTERVAL_MINUTES=60\nSYNC_SCHEDULE=on\n", encoding="utf-8")

    timing = timing_settings({"SYNC_SCHEDULE": "off", "SYNC_CONFIG": str(rules)}, env_file)

    assert timing == TimingSettings(60, False, False, "Europe/Berlin", ())
    assert sync_schedules(timing)[0].cron_schedule == "0 * * * *"


@pytest.mark.parametrize("minutes", [15, 60, 240, 1440])
@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-11-20", 24)])
def test_the_rhythm_holds_on_the_days_on_which_the_clocks_are_changed(minutes, day, hours):
    midnight = datetime.fromisoformat(day).replace(tzinfo=CHICAGO)
    next_midnight = (midnight + timedelta(days=1)).astimezone(UTC)
    timing = TimingSettings(minutes, True, False, "America/Chicago", ())

    ticks = due(timing, midnight, next_midnight)

    assert ticks[0] == midnight.astimezone(UTC)
    assert len(set(ticks)) == len(ticks)
    gaps = {later - earlier for earlier, later in zip(ticks, [*ticks[1:], next_midnight], strict=True)}
    if minutes <= 60:
        assert len(ticks) == hours * 60 // minutes, "twice in the hour that comes twice"
        assert gaps == {timedelta(minutes=minutes)}
    else:
        assert [tick.astimezone(CHICAGO).hour for tick in ticks] == list(range(0, 24, minutes // 60)), "on the wall"


def due(timing: TimingSettings, start: datetime, end: datetime) -> list[datetime]:
    """The ticks Dagster's own iterator gives from `start` to just before `end`, in UTC."""
    from dagster._utils.schedules import schedule_execution_time_iterator

    schedule = sync_schedules(timing)[0]
    found = []
    for moment in schedule_execution_time_iterator(
        start.timestamp(), schedule.cron_schedule, schedule.execution_timezone
    ):
        if moment.timestamp() >= end.timestamp():
            return found
        found.append(moment.astimezone(UTC))
    raise AssertionError("a schedule ends never")
