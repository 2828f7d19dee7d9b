"""The commands as an operator meets them: what they print, where, the exit codes, and that looking changes nothing."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
from pathlib import Path
from time import monotonic, sleep

from alert_receivers import mail_server
from commands import (
    COMMAND,
    SECRETS,
    as_process,
    assert_nothing_leaks,
    environment_of,
    in_this_process,
    small_world,
)

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import FaultRule, Sandbox

ESCAPE = "\x1b"


def test_on_a_terminal_bars_show_how_far_it_is_and_a_second_run_writes_nothing(box: Sandbox, tmp_path: Path) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(Path(__file__).parents[2] / "dagster.yaml", home)

    exit_code, shown = on_a_terminal(box, "sync", "departments", "titles", cwd=tmp_path)
    again = as_process(box, "sync", "departments", "titles", "--json", cwd=home, DAGSTER_HOME=str(home))

    assert exit_code == 0
    assert ESCAPE in shown
    assert "━━━" in shown
    assert "departments" in shown
    assert "titles" in shown
    assert "Verdicts" in shown
    # From another directory, off the terminal, and with a home for Dagster, which keeps the run.
    report = again.document()
    assert (again.exit_code, again.writes, again.told) == (0, [], [])
    assert (report["exit_code"], report["errors"], report["writes"]) == (0, [], 0)
    assert list(report["entities"]) == ["departments", "titles"]
    assert report["calls"] == report["fewest_calls"] == len(again.calls)
    assert ESCAPE not in again.stdout + again.stderr
    assert (home / "history" / "runs.db").exists()
    assert_nothing_leaks(box, again)


def on_a_terminal(box: Sandbox, *arguments: str, cwd: Path) -> tuple[int, str]:
    """The exit code and all that was shown."""
    ours, theirs = pty.openpty()
    environment = environment_of(box, {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"})
    running = subprocess.Popen([COMMAND, *arguments], env=environment, cwd=cwd, stdout=theirs, stderr=theirs)
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 65536):
            parts.append(part)
    except OSError:  # the other end is closed: Linux answers with an error, others with an empty read
        pass
    finally:
        os.close(ours)
    return running.wait(600), b"".join(parts).decode(errors="replace")


def test_a_plan_shows_before_and_after_and_writes_nothing(box: Sandbox) -> None:
    before = box.safetyamp.tables(hidden=True)
    old = next(row for row in before["sites"] if row["name"] == "Old job name")

    shown = in_this_process(box, "plan", "jobs")
    dry = in_this_process(box, "sync", "jobs", "--dry-run", "--json")

    assert (shown.exit_code, dry.exit_code) == (0, 0)
    assert shown.writes == dry.writes == []
    assert box.safetyamp.tables(hidden=True) == before
    lines = [line.strip() for line in shown.stdout.splitlines()]
    (at,) = (n for n, line in enumerate(lines) if f" {old['ext_id']} " in line and line.endswith("— differs: Name"))
    assert lines[at + 1].startswith(f"Name: 'Old job name' → '{old['ext_id']} - ")
    # A record that is new has no before.
    assert any(line.startswith("Site code: '") and "→" not in line for line in lines)
    assert dry.document()["writes"] == 0
    assert dry.document()["entities"]["jobs"]["updated"] >= 1


def test_syncing_one_entity_pushes_that_table_alone(box: Sandbox) -> None:
    answer = in_this_process(box, "sync", "jobs", "--json")

    assert answer.writes
    assert {call.path.split("/")[2] for call in answer.writes} == {"sites"}
    assert list(answer.document()["entities"]) == ["jobs"]


def test_a_record_that_safetyamp_refuses_is_told_with_its_reason_and_exit_code_1(box: Sandbox) -> None:
    box.faults.add(FaultRule("status", system="safetyamp", method="POST", path_regex="/api/user_titles", status=409))

    first = in_this_process(box, "sync", "titles", "--json")
    again = in_this_process(box, "sync", "titles")

    (line,) = first.document()["not_in_step"]["titles"]
    assert (first.exit_code, line["verdict"]) == (1, "failed")
    assert line["why"] == ["SafetyAmp refused: status 409"]
    # Not sent again while nothing about it changes, but not forgotten either.
    assert (again.exit_code, again.writes) == (1, [])
    (shown,) = [row for row in again.stdout.splitlines() if row.split()[:1] == [line["key"].split()[0]]]
    assert "failed" in shown
    assert not any(mark in again.stdout + again.stderr for mark in (ESCAPE, *"┏│┃━─"))  # plain lines
    assert "refused exactly this before" in shown


def test_ctrl_c_in_the_middle_of_a_push_ends_at_once_and_the_next_run_completes_it(tmp_path: Path) -> None:
    with small_world(latency=0.3) as box:
        environment = environment_of(box, {})
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running = subprocess.Popen([COMMAND, "sync", "titles"], env=environment, cwd=tmp_path, text=True, **pipes)
        wait_for_a_write(box)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=600)
        box.options.latency = 0.0

        after = in_this_process(box, "sync", "titles", "--json")

        assert running.returncode == 1
        assert "Traceback" not in errors
        assert "interrupted at safetyamp/user_titles. Run it again" in errors
        assert errors.splitlines()[-1].startswith("Nevertheless, done: titles ")
        assert (after.exit_code, after.document()["errors"]) == (0, [])
        names = [row["name"].casefold() for row in box.safetyamp.tables()["user_titles"]]
        assert len(names) == len(set(names)) == sum(after.document()["entities"]["titles"].values())
        with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
            assert ledger.open_intents("titles") == []
            assert [session.status for session in ledger.sessions(2)] == ["done", "stopped"]
            # What was not sent any more is not said to be created.
            interrupted = ledger.runs("titles", 2)[1].counts
            assert interrupted["not_attempted"] > 0
            assert 0 < interrupted["created"] < len(names)


def wait_for_a_write(box: Sandbox) -> None:
    end = monotonic() + 600
    while not any(call.method == "POST" for call in box.requests("safetyamp")):
        assert monotonic() < end, "the command wrote nothing within a minute"
        sleep(0.02)


def test_config_show_masks_every_secret_and_tells_where_a_value_comes_from(box: Sandbox) -> None:
    plain = in_this_process(box, "config", "show")
    document = in_this_process(box, "config", "show", "--json").document()

    assert plain.exit_code == 0
    for name in SECRETS:
        assert box.environment[name] not in plain.stdout
        assert document["settings"][name] == "set, not shown [environment]"
    rows = dict(line.split(maxsplit=1) for line in map(str.strip, plain.stdout.splitlines()) if " " in line)
    assert rows["SAFETYAMP_PAGE_SIZE"] == "100 [default]"
    assert rows["SAFETYAMP_BASE_URL"] == f"{box.environment['SAFETYAMP_BASE_URL']} [environment]"
    assert rows["employees.default_role"] == '"Field"'
    assert document["sync.yaml"]["jobs"]["open_statuses"] == [1]


def test_doctor_names_each_broken_system_with_what_to_do_and_still_asks_the_others(box: Sandbox) -> None:
    well = in_this_process(box, "doctor", "--json")
    broken = {
        "VIEWPOINT_URL": "sqlite:////nowhere/viewpoint.db",
        "MS_GRAPH_CLIENT_SECRET": "entirely-wrong",
        "SAFETYAMP_TOKEN": "entirely-wrong",
        "LEDGER_URL": "sqlite:////proc/none/ledger.db",
        "SNAPSHOT_URL": "file:///proc/none/snapshots",
    }
    sick = in_this_process(box, "doctor", **broken)
    sick_json = in_this_process(box, "doctor", "--json", **broken)

    assert well.exit_code == 0
    assert all(finding["ok"] for finding in well.document().values())
    assert (sick.exit_code, sick_json.exit_code) == (2, 2)
    found = sick_json.document()
    assert {system for system, finding in found.items() if finding["ok"]} == {"samsara"}
    named = {"viewpoint": "VIEWPOINT_URL", "entra": "MS_GRAPH_CLIENT_SECRET", "safetyamp": "SAFETYAMP_TOKEN"}
    named |= {"ledger": "LEDGER_URL", "snapshots": "SNAPSHOT_URL"}
    for system, variable in named.items():
        assert variable in found[system]["text"]
        (line,) = [line for line in sick.stdout.splitlines() if line.split()[1] == system]
        assert line.startswith("failed")
        assert found[system]["text"] in line
    assert "entirely-wrong" not in sick.stdout + sick.stderr


def test_doctor_names_the_address_of_a_system_that_cannot_be_reached(box: Sandbox) -> None:
    nowhere = {"SAFETYAMP_BASE_URL": "http://127.0.0.1:1", "SAMSARA_BASE_URL": "http://127.0.0.1:1"}
    nowhere |= {"MS_GRAPH_BASE_URL": "https://127.0.0.1:1/v1.0"}

    found = in_this_process(box, "doctor", "--json", **nowhere).document()

    for system, variable in zip(("safetyamp", "samsara", "entra"), nowhere, strict=True):
        assert found[system]["text"].endswith(f"no connection could be made. Check {variable} and the network")


def test_doctor_asks_the_mail_server_where_mails_are_to_go(box: Sandbox) -> None:
    with mail_server() as mail:
        well = in_this_process(box, "doctor", "--json", **mail.environment)
        assert mail.messages == []
    sick = in_this_process(box, "doctor", "--json", **mail.environment)

    assert (well.exit_code, well.document()["mail"]["ok"]) == (0, True)
    assert sick.exit_code == 2
    assert "Check SMTP_SERVER" in sick.document()["mail"]["text"]


def test_doctor_examines_the_other_systems_when_settings_of_one_are_missing(box: Sandbox) -> None:
    answer = in_this_process(box, "doctor", "--json", SAMSARA_API_KEY=None)

    found = answer.document()
    assert answer.exit_code == 2
    assert [system for system, finding in found.items() if not finding["ok"]] == ["samsara"]
    assert "SAMSARA_API_KEY: is not set" in found["samsara"]["text"]
