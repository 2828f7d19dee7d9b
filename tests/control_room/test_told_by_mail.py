"""The on-call operator's mail, with the real daemon, run processes and mail server."""

from __future__ import annotations

from collections import Counter

import pytest
from alert_receivers import Mailbox
from room import ControlRoom, in_the_shell, wait_for

from safetyamp_pipelines.sandbox import FaultRule, Sandbox

LOGIN = "Samsara refuses our login; what depends on it stays as it is"
pytestmark = pytest.mark.xdist_group("control room")


def test_a_broken_source_is_told_by_mail_once_and_so_is_its_recovery(
    room: ControlRoom, box: Sandbox, mail: Mailbox
) -> None:
    # given a sensor that has nothing left to report of earlier runs
    room.rest()
    wait_for(lambda: has_looked(room), "the sensor to look")
    since = len(mail.messages)

    # when Samsara refuses our login twice, and then takes it again
    box.faults.add(FaultRule("status", system="samsara", status=401, times=None))
    assert room.run("sync_vehicles") == "FAILURE"
    alarm = wait_for(lambda: mail.about("Samsara refuses our login", since=since), "the alert")
    assert in_the_shell(room, box, "sync", "vehicles").exit_code == 2
    box.faults.clear()
    assert in_the_shell(room, box, "sync", "vehicles").exit_code == 0
    wait_for(lambda: mail.about("recovered: Samsara", since=since), "the recovery notice")

    # then each is told once
    assert mail.messages[alarm]["To"] == "on-call@example.com"
    assert "In sync_vehicles, at samsara/drivers" in mail.text(alarm)
    told = Counter(str(message["Subject"]).strip() for message in mail.messages[since:])
    assert told[f"[SafetyAmp sync] {LOGIN}"] == 1
    assert told["[SafetyAmp sync] recovered: Samsara refuses our login"] == 1


def has_looked(room: ControlRoom) -> bool | None:
    """Whether the sensor's last tick found nothing to report; its first look begins at the newest event."""
    newest = next(iter(room.ticks("alerts")), None)
    return True if newest and "nothing new" in (newest["skipReason"] or "") else None
