"""The alert sensor with a real Dagster instance, a real ledger, a real mail server and a real webhook receiver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import dagster as dg
import pytest
import time_machine
from alert_receivers import Calls, Mailbox, mail_server, receiver
from ports import free_port

from safetyamp_pipelines.assets.push_config import PushConfig
from safetyamp_pipelines.automation.alerting.sensor import EVERY_SECONDS, alert_sensor
from safetyamp_pipelines.automation.alerting.standing import LONG_PAUSE
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.operations.alerts.memory import Memory
from safetyamp_pipelines.resources.keys import SYNC_TAG
from safetyamp_pipelines.resources.step_failures import diagnosed, failure_of
from safetyamp_pipelines.resources.systems import LedgerResource, NotifierResource, SettingsResource
from safetyamp_pipelines.settings.loading import timing_settings
from safetyamp_pipelines.settings.model import SettingsError
from safetyamp_pipelines.sync.model.errors import AuthRefused, PushStopped, ReadError

ROOT = Path(__file__).parents[3]
CLOCK = re.compile(r"\b\d\d:\d\d\b")
UI, DESK = "https://dagster.example.com", "https://desk.example.com"
GUARD = "vehicles: 13 vehicles would lose access (limit 10); held, everything else was pushed"
LOGIN = "Samsara refuses our login; what depends on it stays as it is"
DIED = "a run of sync_all died; the next sync continues where it stopped"
STOPPED = "vehicles: the push stopped before its end; the rest waits for the next sync"


def over(title: str) -> str:
    """A title once it is over: its consequence has ended too."""
    return title.partition("; ")[0]


@dataclass
class Trouble:
    """What goes wrong in the next run."""

    samsara: bool = False
    guard: bool = False
    warns: bool = False
    push: bool = False
    bug: bool = False
    rejected: int = 0


def a_sync(watch: Watch) -> dg.RepositoryDefinition:
    """A sync in small, with the names of the real one: two snapshots, a plan with its checks, a push."""

    def snapshot(name: str) -> dg.AssetsDefinition:
        @dg.asset(key=["samsara", name])
        @diagnosed
        def table() -> None:
            if watch.trouble.samsara:
                refused = AuthRefused("Samsara", "GET", f"/fleet/{name}", status=401)
                raise ReadError(f"samsara/{name}", str(refused)) from refused

        return table

    @dg.asset(key=["plan", "vehicles"], deps=[["samsara", "vehicles"], ["samsara", "drivers"]])
    @diagnosed
    def plan() -> dg.MaterializeResult[None]:
        if watch.trouble.bug:
            raise ZeroDivisionError("of Kim Miller, kim.miller@example.com")
        rows = [
            dg.TableRecord({"key": str(n), "verdict": "rejected", "why": "VIN is missing"})
            for n in range(watch.trouble.rejected)
        ]
        columns = dg.TableSchema([dg.TableColumn(name) for name in ("key", "verdict", "why")])
        counts = {"verdict_rejected": watch.trouble.rejected} if watch.trouble.rejected else {}
        table = dg.MetadataValue.table(rows, schema=columns)
        return dg.MaterializeResult(metadata={"verdicts": {}, **counts, "not_in_step": table})

    @dg.asset_check(asset=["plan", "vehicles"], name="guards", blocking=True)
    def guards() -> dg.AssetCheckResult:
        metadata = {
            "headline": "13 vehicles would lose access (limit 10)",
            "refused_by": "deactivations: 13 of 50 records, at most 10 are allowed [guards.deactivations]",
            "keys": "281474, 281475 and 11 more",
            "overrule": "safetyamp approve 4be1c09f2a77 --reason …",
            "look_closer": "safetyamp plan vehicles",
            "job": "approve_plan",
        }
        return dg.AssetCheckResult(passed=not watch.trouble.guard, metadata=metadata)

    @dg.asset_check(asset=["plan", "vehicles"], name="rejected_share")
    def rejected_share() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=not watch.trouble.warns,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"measured": "4 of 10 records are rejected", "limit": "2 without a warning"},
        )

    @dg.asset(key=["safetyamp", "assets"], deps=[plan])
    def push(push_config: PushConfig) -> None:
        if watch.trouble.push:
            stopped = PushStopped("stopped: SafetyAmp refused 10 records in a row")
            raise failure_of(stopped) from stopped

    everything = dg.Definitions(
        assets=[snapshot("vehicles"), snapshot("drivers"), plan, push],
        asset_checks=[guards, rejected_share],
        jobs=[dg.define_asset_job("sync_all", "*", tags={SYNC_TAG: "push"}), dg.define_asset_job("plan_all", "*")],
        resources={"push_config": PushConfig()},
    )
    return everything.get_repository_def()


@dataclass
class Watch:
    """A sensor that is asked again and again; between two looks the clock goes on."""

    instance: dg.DagsterInstance
    clock: time_machine.Traveller
    environment: dict[str, str]
    ledger: Ledger
    trouble: Trouble = field(default_factory=Trouble)
    cursor: str | None = None

    @cached_property
    def repository(self) -> dg.RepositoryDefinition:
        return a_sync(self)

    def run(self, job: str = "sync_all", **options: object) -> str:
        """One run of the sync; its id."""
        options = {"raise_on_error": False, "instance": self.instance, **options}
        return str(self.repository.get_job(job).execute_in_process(**options).run_id)

    def look(self, later: timedelta = timedelta(seconds=EVERY_SECONDS)) -> str:
        """One tick, as after a restart: all that it knows is the cursor. What it says."""
        self.clock.shift(later)
        source = SettingsResource.of(self.environment)
        resources = {
            "sync_settings": source,
            "ledger": LedgerResource(settings=source),
            "notifier": NotifierResource(settings=source),
        }
        with dg.build_sensor_context(
            self.instance, self.cursor, repository_def=self.repository, resources=resources
        ) as context:
            ticked = alert_sensor(timing_settings({}, None)).evaluate_tick(context)
        self.cursor = ticked.cursor
        return str(ticked.skip_message)


@pytest.fixture
def mail() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def hook() -> Iterator[Calls]:
    with receiver() as calls:
        yield calls


@pytest.fixture
def watch(memory_instance: dg.DagsterInstance, tmp_path: Path) -> Iterator[Watch]:
    """Nothing is configured yet; the sensor has looked once, at an empty log."""
    with ExitStack() as stack:
        clock = stack.enter_context(time_machine.travel("2026-11-20T12:00:10+00:00"))
        url = f"sqlite:///{tmp_path}/ledger.db"
        ledger = stack.enter_context(Ledger.open(url))
        yield Watch(memory_instance, clock, {"LEDGER_URL": url, "DAGSTER_UI_URL": UI, "DESK_URL": DESK}, ledger)


def test_a_sick_source_is_told_once_however_often_it_fails_and_so_is_its_end(watch: Watch, mail: Mailbox):
    watch.environment |= mail.environment
    watch.look()
    watch.trouble.samsara = True
    run = watch.run()
    watch.look()
    watch.run()
    repeated = watch.look()
    watch.trouble.samsara = False
    watch.run()
    watch.look()
    watch.look()

    assert mail.subjects == [
        f"[SafetyAmp sync] {LOGIN}",
        f"[SafetyAmp sync] recovered: {over(LOGIN)}",
    ]
    assert repeated == "nothing new to report"
    alert = mail.text(0)
    assert "Samsara GET /fleet/drivers answered 401" in alert
    assert "In sync_all, at samsara/drivers, samsara/vehicles" in alert
    assert "What to do: Check SAMSARA_API_KEY" in alert
    assert f"Run: {UI}/runs/{run}" in alert
    assert "seen 2 times" in mail.text(1)


def test_while_the_mail_server_is_down_nothing_is_lost_and_nothing_else_is_held_up(
    watch: Watch, hook: Calls, tmp_path: Path
):
    port = free_port()
    watch.environment |= {**Mailbox(port).environment, "ALERT_WEBHOOK_URL": f"{hook.url}/hook"}
    watch.look()
    watch.trouble.push = True
    watch.run()
    said = [watch.look(), watch.look()]
    watch.trouble.guard, watch.trouble.push = True, False
    watch.run()
    watch.look()
    with mail_server(port) as box:
        watch.look()
        watch.look()

        assert box.subjects == [f"[SafetyAmp sync] {STOPPED} (and 1 more)"]
        assert GUARD in box.text()
    assert [len(hook.bodies), "the push stopped" in str(hook.bodies[0]), GUARD in str(hook.bodies[1])] == [
        2,
        True,
        True,
    ]
    assert "mail: not delivered, tried again: the mail server 127.0.0.1" in said[0]
    assert "webhook: alert of 1, taken with 200" in said[0]
    assert "webhook" not in said[1]


def test_a_guard_is_told_once_with_what_was_measured_and_how_to_overrule_it(watch: Watch, mail: Mailbox):
    watch.environment |= mail.environment
    watch.look()
    watch.trouble.guard = True
    watch.run()
    watch.look()

    assert mail.subjects == [f"[SafetyAmp sync] {GUARD}"]
    _, right, wrong, figures, keys, *_ = mail.text().splitlines()
    assert (right[:7], wrong[:7]) == ("Right? ", "Wrong? ")
    assert "`safetyamp approve 4be1c09f2a77 --reason …`, or with the job approve_plan" in right
    assert right.endswith(f"→ {DESK}/plan/vehicles")
    assert "13 of 50 records" in figures
    assert keys == "Records: 281474, 281475 and 11 more"
    assert f"Asset: {UI}/assets/plan/vehicles" in mail.text()


@pytest.mark.parametrize("trouble", ["guard", "push"])
def test_a_run_of_single_records_that_ends_well_is_not_the_end_of_what_ails_the_whole(
    watch: Watch, mail: Mailbox, trouble: str
):
    watch.environment |= mail.environment
    watch.look()
    setattr(watch.trouble, trouble, True)
    watch.run()
    watch.look()
    setattr(watch.trouble, trouble, False)
    watch.run(run_config={"resources": {"push_config": {"config": {"only_keys": ["vehicles/1"]}}}})
    of_one = watch.look()
    watch.run()
    watch.look()

    assert of_one == "nothing new to report"
    assert mail.subjects[1:] == [over(mail.subjects[0]).replace("] ", "] recovered: ")]


def test_what_is_not_urgent_waits_for_the_digest_of_the_hour_grouped_by_cause(watch: Watch, mail: Mailbox):
    watch.environment |= mail.environment
    watch.look()
    watch.trouble.warns, watch.trouble.rejected = True, 3
    for _ in range(2):
        watch.run()
        assert watch.look() == "nothing new to report"
    watch.look(timedelta(hours=1))
    watch.run()
    watch.look(timedelta(hours=1))
    watch.trouble.rejected = 5
    watch.run()
    watch.look(timedelta(seconds=30))
    watch.look(timedelta(hours=1))

    assert mail.subjects == [
        "[SafetyAmp sync] digest: 2 things to look at",
        "[SafetyAmp sync] digest: 1 thing to look at",
    ]
    warned = "plan/vehicles: the check rejected_share warns: 4 of 10 records are rejected\n"
    check = mail.text(0).partition(warned)[2].splitlines()
    assert check[1] == "Limit: 2 without a warning"
    assert check[2].startswith("Since 2026-11-20 06:00 CST, seen 2 times, last 2026-11-20 06:01 CST; open for ")
    rejected = mail.text(0).partition("vehicles: 3 records rejected: cannot be synced\n")[2].splitlines()
    assert rejected[0].startswith("What to do: correct them at the source. `safetyamp plan vehicles` names each")
    assert rejected[1:3] == ["3 × VIN is missing", "Records: 0, 1, 2"]
    assert "vehicles: 5 records rejected" in mail.text(1)


def test_the_docs_have_a_sample_of_each_kind_of_message(watch: Watch, mail: Mailbox):
    watch.environment |= mail.environment
    watch.look()
    watch.trouble = Trouble(guard=True, rejected=3)
    runs = [watch.run()]
    watch.look()
    watch.trouble = Trouble(samsara=True)
    runs.append(watch.run())
    watch.look()
    watch.trouble = Trouble(guard=True, rejected=3)
    runs.append(watch.run())
    watch.look()
    watch.ledger.pause("Kim", "stock-taking")
    watch.look(timedelta(hours=5))

    samples = []
    for number, subject in enumerate(mail.subjects):
        text = f"Subject: {subject}\n\n{mail.text(number)}"
        for run in runs:
            text = text.replace(run, "1f6e4c2a")
        samples.append("\n".join(f"    {line}".rstrip() for line in text.splitlines()))
    assert [subject.split(":")[0] for subject in mail.subjects] == [
        "[SafetyAmp sync] vehicles",
        f"[SafetyAmp sync] {LOGIN}",
        "[SafetyAmp sync] recovered",
        "[SafetyAmp sync] digest",
    ]
    # The minutes are those of the runs, which a busy machine takes longer for.
    documented = CLOCK.sub("at", (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8"))
    for sample in samples:
        assert CLOCK.sub("at", sample) in documented, "\n\n".join(samples)


def test_a_plan_that_somebody_makes_to_look_alarms_nobody(watch: Watch, mail: Mailbox):
    watch.environment |= mail.environment
    watch.look()
    for trouble in (Trouble(guard=True, warns=True, rejected=3), Trouble(samsara=True), Trouble(bug=True)):
        watch.trouble = trouble
        watch.run("plan_all")
        assert watch.look() == "nothing new to report"
    watch.look(timedelta(hours=1))
    watch.run("plan_all", tags={"safetyamp/cause": "schedule"})
    watch.look(timedelta(hours=1))

    assert mail.subjects == ["[SafetyAmp sync] digest: 1 thing to look at"]


def test_an_unexpected_error_is_told_without_its_words(watch: Watch, mail: Mailbox):
    watch.environment |= mail.environment
    watch.look()
    watch.trouble.bug = True
    watch.run()
    watch.look()

    assert mail.subjects == ["[SafetyAmp sync] plan/vehicles: failed unexpectedly (ZeroDivisionError)"]
    assert "Kim" not in mail.text()
    assert "@" not in mail.text()


def test_a_run_found_dead_is_told_and_a_good_one_ends_it(watch: Watch, mail: Mailbox):
    watch.environment |= mail.environment
    watch.look()
    dead = watch.instance.create_run_for_job(watch.repository.get_job("sync_all"), tags={SYNC_TAG: "push"})
    watch.instance.report_run_failed(dead, "Run execution process unexpectedly exited: terminated by signal 9.")
    watch.look()
    watch.run()
    watch.look()

    assert mail.subjects == [
        f"[SafetyAmp sync] {DIED}",
        f"[SafetyAmp sync] recovered: {over(DIED)}",
    ]


def test_assets_that_grow_old_are_one_alert_until_all_are_fresh(watch: Watch, mail: Mailbox):
    watch.environment |= mail.environment
    watch.look()
    for asset in ("users", "sites"):
        grown_old(watch, asset, "FAIL")
    watch.look()
    grown_old(watch, "users", "PASS")
    half = watch.look()
    grown_old(watch, "sites", "PASS")
    watch.look()

    title = "[SafetyAmp sync] syncing stands still: assets are too old, and leavers keep their access"
    assert mail.subjects == [title, over(title).replace("] ", "] recovered: ")]
    assert half == "nothing new to report"


def test_while_people_want_it_to_rest_growing_old_is_no_emergency(watch: Watch, mail: Mailbox):
    watch.environment |= mail.environment
    watch.look()
    watch.ledger.pause("Kim", "stock-taking")
    grown_old(watch, "users", "FAIL")
    watch.look()
    watch.look(timedelta(hours=1))

    assert mail.subjects == ["[SafetyAmp sync] digest: 1 thing to look at"]


def grown_old(watch: Watch, table: str, state: str) -> None:
    from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
    from dagster._time import get_current_timestamp

    change = FreshnessStateChange(
        key=dg.AssetKey(["safetyamp", table]),
        new_state=FreshnessState(state),
        previous_state=FreshnessState.UNKNOWN,
        state_change_timestamp=get_current_timestamp(),
    )
    watch.instance._report_runless_asset_event(change)


def test_a_forgotten_pause_is_told_once_and_its_end_too(watch: Watch, mail: Mailbox):
    watch.environment |= mail.environment
    watch.ledger.pause("Kim", "stock-taking")
    watch.look()
    watch.look(LONG_PAUSE)
    for _ in range(3):
        watch.look(timedelta(hours=1))
    watch.ledger.resume("Kim")
    watch.look()
    watch.look(timedelta(hours=1))

    assert mail.subjects == ["[SafetyAmp sync] digest: 1 thing to look at"] * 2
    assert "syncing is paused since 2026-11-20 06:00 CST; leavers keep their access" in mail.text(0)
    assert "recovered: syncing is paused" in mail.text(1)


def test_syncs_that_fail_again_and_again_are_told_to_be_slowed_down(watch: Watch, mail: Mailbox):
    watch.environment |= mail.environment
    watch.look()
    watch.trouble.push = True
    for _ in range(3):
        watch.run()
        watch.look()
    watch.look(timedelta(hours=1))

    assert mail.subjects[1:] == ["[SafetyAmp sync] digest: 1 thing to look at"]
    assert "syncing is quarantined: it failed again and again" in mail.text()
    assert "slowed to 1 h" in mail.text()


def test_a_ledger_that_cannot_be_asked_is_told_though_no_run_says_so(watch: Watch, mail: Mailbox, tmp_path: Path):
    watch.environment |= mail.environment
    watch.look()
    well = watch.environment["LEDGER_URL"]
    watch.environment["LEDGER_URL"] = f"sqlite:///{tmp_path}/nowhere/at/all/ledger.db"
    (tmp_path / "nowhere").write_text("a file, where a folder is meant")
    watch.look()
    watch.environment["LEDGER_URL"] = well
    watch.look()

    title = "[SafetyAmp sync] the ledger cannot be asked: no sync starts"
    assert mail.subjects == [title, over(title).replace("] ", "] recovered: ")]


def test_wrong_settings_are_told_and_what_happens_meanwhile_is_told_when_they_are_right(
    watch: Watch, mail: Mailbox, hook: Calls, tmp_path: Path
):
    # given a problem that the webhook has yet to be told of
    watch.environment |= {**mail.environment, "ALERT_WEBHOOK_URL": f"http://127.0.0.1:{free_port()}/hook"}
    watch.look()
    watch.trouble.guard = True
    watch.run()
    watch.look()

    # when its address and sync.yaml are wrong for a while, and a push stops meanwhile
    (tmp_path / "sync.yaml").write_text("nonsense: 1")
    watch.environment |= {"ALERT_WEBHOOK_URL": "nonsense", "SYNC_CONFIG": str(tmp_path / "sync.yaml")}
    watch.trouble.guard, watch.trouble.push = False, True
    watch.run()
    said = [watch.look(), watch.look()]
    watch.environment |= {"ALERT_WEBHOOK_URL": f"{hook.url}/hook"}
    del watch.environment["SYNC_CONFIG"]
    for _ in range(3):
        watch.look()

    # then each channel is told of everything
    title = "the settings are wrong: no sync starts"
    assert mail.subjects[1:] == [
        f"[SafetyAmp sync] {title}",
        f"[SafetyAmp sync] {STOPPED}",
        f"[SafetyAmp sync] recovered: {over(GUARD)} (and 1 more)",
    ]
    assert "What to do: do what the message says" in mail.text(1)
    assert "nonsense" in mail.text(1)
    assert [word for word in ("ALERT_WEBHOOK_URL", "mail: alert of 1") if word not in said[0]] == []
    assert "mail" not in said[1].partition("config")[0]
    told = str(hook.bodies)
    assert [word for word in ("13 vehicles would lose access", "the push stopped") if word not in told] == []


def test_when_settings_are_wrong_and_nobody_can_be_told_the_tick_fails_and_names_them(watch: Watch):
    watch.environment |= {"ALERT_WEBHOOK_URL": "nonsense"}

    with pytest.raises(SettingsError, match="ALERT_WEBHOOK_URL"):
        watch.look()


def test_the_heartbeat_beats_while_people_can_be_told_and_no_longer(watch: Watch, hook: Calls):
    watch.environment |= {"HEARTBEAT_URL": f"{hook.url}/beat"}
    said = watch.look()
    watch.environment |= Mailbox(free_port()).environment
    watch.trouble.push = True
    watch.look()
    watch.run()
    watch.look()

    assert [path for _, path, _ in hook.received] == ["/beat", "/beat"]
    assert said.startswith("nobody can be notified: set ALERT_EMAIL_TO")


def test_the_heartbeat_waits_for_no_owner_s_digest_and_no_snapshot(
    watch: Watch, mail: Mailbox, hook: Calls, tmp_path: Path
):
    (tmp_path / "sync.yaml").write_text("owners: {entities: {employees: hr@example.com}}\n")
    watch.environment |= {**mail.environment, "SYNC_CONFIG": str(tmp_path / "sync.yaml")}
    watch.environment |= {"HEARTBEAT_URL": f"{hook.url}/beat", "SNAPSHOT_URL": "file:///dev/null/none"}
    watch.look()
    watch.run()

    assert watch.look() == "nothing new to report"
    assert len(hook.received) == 2


def test_a_heartbeat_that_cannot_be_sent_breaks_nothing(watch: Watch, mail: Mailbox):
    watch.environment |= {**mail.environment, "HEARTBEAT_URL": f"http://127.0.0.1:{free_port()}/beat"}

    assert watch.look() == "nothing new to report"


def test_what_happened_before_the_first_look_and_dry_runs_tell_nothing(watch: Watch, mail: Mailbox):
    watch.environment |= mail.environment
    watch.trouble.samsara = True
    watch.run()
    for _ in range(2):
        assert watch.look() == "nothing new to report"

    assert mail.messages == []


def test_many_events_are_read_in_order_a_page_at_a_look_and_none_is_missed(watch: Watch, mail: Mailbox):
    watch.environment |= mail.environment
    watch.look()
    watch.trouble.samsara = True
    for _ in range(3):
        watch.run()
    watch.trouble.samsara = False
    for number in range(240):
        check = dg.AssetCheckEvaluation(dg.AssetKey(["plan", "sites"]), "guards", passed=number < 239)
        watch.instance.report_runless_asset_event(check)
    looks = [watch.look() for _ in range(4)]

    assert mail.subjects == [
        f"[SafetyAmp sync] {LOGIN}",
        "[SafetyAmp sync] plan/sites: the check guards failed",
    ]
    assert looks[3] == "nothing new to report"
    assert watch.cursor is not None
    assert Memory.load(watch.cursor).after == watch.instance.event_log_storage.get_maximum_record_id()
