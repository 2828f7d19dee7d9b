"""What people are told of a real sync over the sandbox, and that it holds nothing of anybody."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import time_machine
from alert_receivers import mail_server
from commands import small_world

from safetyamp_pipelines.definitions import build_defs, resources_for
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sandbox import FaultRule, Sandbox

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
HR = "{employees: hr@example.com}"


def test_a_source_that_refuses_our_login_and_records_that_are_rejected(
    memory_instance: dg.DagsterInstance, tmp_path: Path
):
    # given a Dagster that has been looked at
    with small_world() as box, mail_server() as mail:
        owners = tmp_path / "owners.yaml"
        owners.write_text(Path(box.environment["SYNC_CONFIG"]).read_text("utf-8") + f"\nowners: {{entities: {HR}}}\n")
        settings = {**box.environment, **mail.environment, "SYNC_CONFIG": str(owners)}
        sensors = Sensors.of(memory_instance, settings)
        cursor, owned = sensors.look(None, timedelta()), sensors.asked(None, timedelta())

        # when Samsara refuses our login, and then takes it again
        box.faults.add(FaultRule("status", system="samsara", status=401, times=None))
        assert not sensors.run("sync_vehicles").success
        cursor = sensors.look(cursor, timedelta(minutes=1))
        box.faults.clear()
        assert sensors.run("sync_all").success
        cursor = sensors.look(cursor, timedelta(minutes=2))
        sensors.look(cursor, timedelta(hours=2))
        # and snapshots cannot be read for a while: no owner is told that all is done, and none is forgotten
        blind = Sensors.of(memory_instance, {**settings, "SNAPSHOT_URL": f"file://{owners}/none"})
        owned = blind.asked(owned, timedelta(hours=1))
        for hours in (1, 2):
            owned = sensors.asked(owned, timedelta(hours=hours))

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


@dataclass
class Sensors:
    """The real definitions over these settings, whose jobs run and whose sensors tick."""

    instance: dg.DagsterInstance
    source: SettingsResource
    defs: dg.Definitions

    @classmethod
    def of(cls, instance: dg.DagsterInstance, settings: dict[str, str]) -> Sensors:
        source = SettingsResource.of(settings)
        return cls(instance, source, build_defs(resources_for(source)))

    def run(self, job: str) -> dg.ExecuteInProcessResult:
        resolved = self.defs.resolve_job_def(job)
        return resolved.execute_in_process(instance=self.instance, raise_on_error=False, run_config=QUIET)

    def asked(self, cursor: str | None, later: timedelta) -> str:
        """One tick of the sensor for owners."""
        return self.look(cursor, later, "owner_digests")

    def look(self, cursor: str | None, later: timedelta, name: str = "alerts") -> str:
        """One tick of the sensor as it is defined, so much later than now."""
        repository = self.defs.get_repository_def()
        sensor = repository.get_sensor_def(name)
        resources = {
            key: made for key, made in resources_for(self.source).items() if key in sensor.required_resource_keys
        }
        with (
            time_machine.travel(datetime.now(UTC) + later),
            dg.build_sensor_context(self.instance, cursor, repository_def=repository, resources=resources) as context,
        ):
            return str(sensor.evaluate_tick(context).cursor)


def assert_no_persons_value(box: Sandbox, text: str) -> None:
    for row in box.world.viewpoint["bPREH"]:
        for column in ("LastName", "FirstName", "Email", "CellPhone", "Address"):
            value = str(row[column] or "").strip()
            assert not value or not re.search(rf"\b{re.escape(value)}\b", text), column
