"""`safetyamp alerts`: a test says for each channel whether it delivers, and what is open can be looked up."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest
from alert_receivers import Mailbox, mail_server, receiver
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from ports import free_port
from typer.testing import CliRunner, Result

from safetyamp_pipelines.cli.main import app
from safetyamp_pipelines.operations.alerts.delivery import next_message
from safetyamp_pipelines.operations.alerts.memory import Memory
from safetyamp_pipelines.operations.alerts.problems import Level, Red, State, absorb

NOON = 1_795_262_400.0


def alerts(tmp_path: Path, *arguments: str, **environment: str) -> Result:
    """The command in a folder of its own, with these settings alone."""
    given = {"SAFETYAMP_DATA_DIR": str(tmp_path / "data"), "DAGSTER_HOME": str(tmp_path / "home"), **environment}
    return CliRunner().invoke(app, ["alerts", *arguments], env=given, catch_exceptions=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return folder


def test_a_test_goes_through_every_channel_and_the_heartbeat(tmp_path: Path):
    with mail_server() as box, receiver() as calls:
        given = {**box.environment, "ALERT_WEBHOOK_URL": f"{calls.url}/hook", "HEARTBEAT_URL": f"{calls.url}/beat"}
        answer = alerts(tmp_path, "test", "--json", **given)

        assert answer.exit_code == 0, answer.output
        assert {name: told["ok"] for name, told in json.loads(answer.stdout)["channels"].items()} == {
            "mail": True,
            "webhook": True,
            "heartbeat": True,
        }
        assert box.subjects == ["[SafetyAmp sync] test of the alerts"]
        assert [path for _, path, _ in calls.received] == ["/hook", "/beat"]


def test_a_channel_that_fails_is_named_the_others_are_tried_and_the_exit_code_is_2(tmp_path: Path):
    with receiver() as calls:
        given = {**Mailbox(free_port()).environment, "ALERT_WEBHOOK_URL": f"{calls.url}/s3cret"}
        answer = alerts(tmp_path, "test", **given)

        mail, webhook = answer.stdout.splitlines()
        assert answer.exit_code == 2
        assert mail.startswith("mail: NOT DELIVERED: the mail server 127.0.0.1:")
        assert webhook == "webhook: taken with 200"
        assert "s3cret" not in answer.output


def test_without_a_channel_it_says_how_to_configure_one(tmp_path: Path):
    answer = alerts(tmp_path, "test")

    assert answer.exit_code == 2
    assert "no channel for alerts: set ALERT_EMAIL_TO, ALERT_EMAIL_FROM and SMTP_SERVER" in answer.stderr


def test_before_the_sensor_has_looked_nothing_is_known(tmp_path: Path, home: Path):
    answer = alerts(tmp_path, "show")

    assert (answer.exit_code, answer.stdout) == (0, "the sensor alerts has not run yet, or has no channel\n")


def test_without_the_home_of_dagster_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    answer = CliRunner().invoke(app, ["alerts", "show"], env={"SAFETYAMP_DATA_DIR": str(tmp_path)})

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("DAGSTER_HOME is not set")


def test_what_the_sensor_remembers_is_shown_by_channel(tmp_path: Path, home: Path):
    red = Red(
        problem="call/Samsara",
        level=Level.CRITICAL,
        title="Samsara refuses our login",
        needs=frozenset({"step/x"}),
        at=NOON,
        run_id="r1",
    )
    later = Red(
        problem="records",
        level=Level.DIGEST,
        title="vehicles: 3 records rejected",
        needs=frozenset({"records"}),
        at=NOON + 60,
        size=3,
    )
    _, state = next_message(absorb(State(), [red]), NOON)
    remember(home, Memory(7, {"mail": absorb(state, [later])}))

    shown = alerts(tmp_path, "show")
    document = json.loads(alerts(tmp_path, "show", "--json").stdout)

    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        "mail:",
        "  critical: Samsara refuses our login (sent, 1 ×, since 2026-11-21 06:00 CST)",
        "  digest: vehicles: 3 records rejected (not sent yet, 1 ×, since 2026-11-21 06:01 CST)",
    ]
    assert [one["told"] for one in document["channels"]["mail"]] == [True, False]


def remember(home: Path, memory: Memory) -> None:
    """What the daemon keeps of the sensor after a tick."""
    target = LoadableTargetOrigin(module_name="safetyamp_pipelines.definitions")
    origin = RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(InProcessCodeLocationOrigin(target), "__repository__"), "alerts"
    )
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_instigator_state(
            InstigatorState(
                origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, SensorInstigatorData(cursor=memory.dump())
            )
        )
