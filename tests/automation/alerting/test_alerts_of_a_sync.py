"""What people are told of a real sync over the sandbox, and that it holds nothing of anybody."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import time_machine
from alert_receivers import mail_server
from commands import in_this_process, small_world

from safetyamp_pipelines.definitions import build_defs, resources_for
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sandbox import FaultRule, Sandbox

ROOT = Path(__file__).parents[3]
HR = "{employees: hr@example.com}"


def test_a_source_that_refuses_our_login_and_records_that_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # given a Dagster home that has been looked at
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    home = {"DAGSTER_HOME": str(tmp_path)}
    with small_world() as box, mail_server() as mail, dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        owners = tmp_path / "owners.yaml"
        owners.write_text(Path(box.environment["SYNC_CONFIG"]).read_text("utf-8") + f"\nowners: {{entities: {HR}}}\n")
        settings = {**box.environment, **mail.environment, "SYNC_CONFIG": str(owners)}
        cursor, owned = look(instance, settings, None, timedelta()), asked(instance, settings, None, timedelta())

        # when Samsara refuses our login, and then takes it again
        box.faults.add(FaultRule("status", system="samsara", status=401, times=None))
        assert in_this_process(box, "sync", "vehicles", **home).exit_code == 2
        cursor = look(instance, settings, cursor, timedelta(minutes=1))
        box.faults.clear()
        in_this_process(box, "sync", **home)
        cursor = look(instance, settings, cursor, timedelta(minutes=2))
        look(instance, settings, cursor, timedelta(hours=2))
        # and snapshots cannot be read for a while: no owner is told that all is done, and none is forgotten
        unread = {**settings, "SNAPSHOT_URL": f"file://{owners}/none"}
        owned = asked(instance, unread, owned, timedelta(hours=1))
        for hours in (1, 2):
            owned = asked(instance, settings, owned, timedelta(hours=hours))

        # then people are told at once, and of the rest once, without a person's value
        login = "[SafetyAmp sync] Samsara refuses our login; what depends on it stays as it is"
        assert mail.subjects[:2] == [login, login.partition("; ")[0].replace("] ", "] recovered: ")]
        assert [subject.split(":")[0] for subject in mail.subjects[2:]] == ["[SafetyAmp sync] digest"] * 3
        assert mail.receivers == [["on-call@example.com"]] * 4 + [["hr@example.com"]]
        assert "Check SAMSARA_API_KEY, and that it has Read Vehicles and Read Drivers" in mail.text(0)
        assert re.search(r"employees: \d+ records? rejected: cannot be synced", mail.text(2))
        # and who owns the records gets those alone, the oldest first, with their ages; everybody what nobody owns
        waiting = r"^\d+ records? waits? for you, the oldest for \d+ \w+: .*"
        assert re.search(waiting, mail.text(3), re.MULTILINE)
        assert "employees" not in mail.text(3)
        assert re.search(waiting + r"\d+ rejected", mail.text(4), re.MULTILINE)
        assert re.search(r"^employees \S+ \w+ for \d+ (s|min|h|d); ", mail.text(4), re.MULTILINE)
        assert "samsara" not in mail.text(4).casefold()
        assert_no_persons_value(box, "".join(mail.text(number) for number in range(5)))


def asked(instance: dg.DagsterInstance, settings: dict[str, str], cursor: str | None, later: timedelta) -> str:
    """One tick of the sensor for owners."""
    return look(instance, settings, cursor, later, "owner_digests")


def look(
    instance: dg.DagsterInstance, settings: dict[str, str], cursor: str | None, later: timedelta, name: str = "alerts"
) -> str:
    """One tick of the sensor as it is defined, so much later than now."""
    source = SettingsResource.of(settings)
    repository = build_defs(resources_for(source)).get_repository_def()
    sensor = repository.get_sensor_def(name)
    needed = sensor.required_resource_keys
    resources = {key: made for key, made in resources_for(source).items() if key in needed}
    with (
        time_machine.travel(datetime.now(UTC) + later),
        dg.build_sensor_context(instance, cursor, repository_def=repository, resources=resources) as context,
    ):
        return str(sensor.evaluate_tick(context).cursor)


def assert_no_persons_value(box: Sandbox, text: str) -> None:
    for row in box.world.viewpoint["bPREH"]:
        for column in ("LastName", "FirstName", "Email", "CellPhone", "Address"):
            value = str(row[column] or "").strip()
            assert not value or not re.search(rf"\b{re.escape(value)}\b", text), column
