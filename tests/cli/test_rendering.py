"""What is shown is what there is: nothing taken for markup, nothing cut, before → after."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from safetyamp_pipelines.cli.causes import Cause
from safetyamp_pipelines.cli.rendering import TerminalProgress, show_causes, show_plan, show_result
from safetyamp_pipelines.cli.running import Ran
from safetyamp_pipelines.sync.model.plan import Action, Change, Finding, Held, Outcome, Plan, Verdict
from safetyamp_pipelines.systems.http.budget import Budget, SqliteBucket
from safetyamp_pipelines.systems.http.clock import Clock

LONG = "a reason " * 40


def plain() -> Console:
    return Console(file=StringIO(), width=10_000, force_terminal=False)


def printed(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def change(action: Action, target_id: int | None, **fields: tuple[object, object]) -> Change:
    return Change(action, "24113.", "24113.", target_id, fields, "differs: Name", "hash")


def plan_of(*changes: Change, verdicts: tuple[Verdict, ...] = (), findings: tuple[Finding, ...] = ()) -> Plan:
    return Plan("jobs", "sites", "2026-11-20T10:00:00Z", {}, "hash", changes, verdicts, findings)


def test_a_change_is_shown_before_and_after_and_a_new_record_without_a_before() -> None:
    console = plain()

    show_plan(
        console,
        plan_of(
            change(Action.UPDATE, 7, name=("Old [/bold] name", "New"), zip_code=(None, "01234")),
            change(Action.CREATE, None, name=(None, "24113. - Dock")),
        ),
        {"24113.": "Dock"},
    )

    lines = printed(console).splitlines()
    assert "jobs: 1 to create, 1 to change  plan " in lines[1]
    assert "  ~ 24113. Dock — differs: Name" in lines
    assert "      Name: 'Old [/bold] name' → 'New'" in lines
    assert "      Zip code: nothing → '01234'" in lines
    assert "      Name: '24113. - Dock'" in lines


def test_notes_and_findings_are_shown_and_long_lists_counted() -> None:
    console = plain()
    findings = tuple(Finding("unmanaged", f"users [{n}]", "in SafetyAmp, but in no source") for n in range(12))
    verdict = Verdict("24113.", Outcome.UNCHANGED, "recognised by link", notes=(LONG,))

    show_plan(console, plan_of(verdicts=(verdict,), findings=findings), {})

    assert f"24113. — {LONG}".strip() in printed(console)
    assert "users [9] and 2 more" in printed(console)


def test_every_record_not_in_step_is_one_uncut_line_off_a_terminal() -> None:
    console, key = plain(), "users [9BIIZ] [/x]"
    line = {"key": key, "verdict": "not_attempted", "why": [LONG]}

    show_result(console, Ran("a run", 1.0, {"jobs": {"not_attempted": 1}}, {"jobs": [line]}), {}, pushed=True)

    (row,) = [row for row in printed(console).splitlines() if key in row]
    assert "not attempted" in row
    assert LONG.strip() in row


def test_on_a_narrow_terminal_no_verdict_is_lost() -> None:
    console = Console(file=StringIO(), width=80, force_terminal=True, color_system=None)
    counts = {"created": 1234, "deactivated": 1, "failed": 22, "held": 3, "linked": 4, "out_of_scope": 555}
    counts |= {"reactivated": 6, "rejected": 77, "unchanged": 8888, "updated": 99}

    show_result(console, Ran("a run", 1.0, {"employees": counts}), {}, pushed=True)

    assert all(str(number) in printed(console) for number in counts.values())
    assert "…" not in printed(console)


def test_what_a_guard_holds_is_shown_once_with_names_and_the_commands_that_decide() -> None:
    console = plain()
    held = [Held(change(Action.UPDATE, 7, name=("Old", "New")), "updates", "2 of 3", "guards.updates")]
    plan = replace(plan_of(), held=tuple(held))
    waiting = {"key": "24113.", "verdict": "held", "why": ["2 of 3"]}
    ran = Ran("a run", 1.0, {"jobs": {"held": 1}}, {"jobs": [waiting]}, plans={"jobs": plan})

    show_plan(console, plan, {"24113.": "Dock"})
    show_result(console, ran, {"jobs": {"24113.": "Dock"}}, pushed=False)

    assert printed(console).count("24113.") == 1
    assert "  held by updates: 2 of 3 [guards.updates]\n  ~ 24113. Dock — differs: Name\n" in printed(console)
    assert f"`safetyamp approve {plan.held_hash('updates')[:12]}`" in printed(console)


def test_records_that_wait_for_the_same_decision_are_one_row_and_others_keep_theirs() -> None:
    console = plain()
    ways = "let it be pushed: `safetyamp approve a50cf2e37dbb --key {}`"
    records = [{"key": key, "verdict": "held", "why": ["2 of 3"], "ways": [ways.format(key)]} for key in ("17", "18")]
    records += [{"key": key, "verdict": "rejected", "why": ["no name"]} for key in ("19", "20")]
    alone = [{"key": "21", "verdict": "held", "why": ["2 of 3"], "ways": [ways.format("21")]}]

    show_result(console, Ran("a run", 1.0, {}, {"jobs": records, "titles": alone}), {}, pushed=True)

    assert printed(console).count(ways.format("KEY")) == 1
    assert printed(console).count("no name") == 2
    assert ways.format("21") in printed(console)


def test_a_title_wider_than_its_table_stays_one_line() -> None:
    console = Console(file=StringIO(), width=60, force_terminal=True, color_system=None)

    show_result(console, Ran("a run", 1.0, {"titles": {"unchanged": 9}}), {"titles": {}}, pushed=False)

    assert "Verdicts, if this were pushed\n" in printed(console)


def test_causes_end_with_whether_safetyamp_is_as_it_was() -> None:
    cause = Cause("paused [by] Pat", ("safetyamp/users",), refused=True)
    before, midway = plain(), plain()

    show_causes(before, Ran("a run", 1.0, causes=[cause]))
    done = {"titles": {"created": 3, "failed": 1}, "employees": {"held": 2}}
    show_causes(midway, Ran("a run", 1.0, done, causes=[cause], writes=3, wrote_nothing=False))

    assert printed(before) == "paused [by] Pat\nNothing was written to SafetyAmp.\n"
    said = "Nevertheless, done: titles 3 created; failed: titles 1; held: employees 2"
    assert printed(midway) == f"paused [by] Pat\n{said}\n"


def test_off_a_terminal_progress_is_a_line_now_and_then_and_the_last_one() -> None:
    console = plain()

    with TerminalProgress(console, pace=1.0) as progress:
        progress.read("users", 120, 2)
        report = progress.of("employees", lambda: 9)
        for settled in range(1, 61):
            report(settled, 60)

    said = [" ".join(line.split()) for line in printed(console).splitlines() if line]
    assert said == [
        "read users 120 rows 2 calls",
        "push employees 25 of 60, 9 calls, 35 left: 35 s of the budget",
        "push employees 50 of 60, 9 calls, 10 left: 10 s of the budget",
        "push employees 60 of 60, 9 calls",
    ]


def test_a_long_wait_for_the_call_budget_is_reported(tmp_path: Path) -> None:
    console, slept = plain(), [0.0]
    clock = Clock(lambda: sum(slept), slept.append)
    budget = Budget(1, 60.0, SqliteBucket(tmp_path / "budget.db", "x", clock=clock), clock=clock)

    with TerminalProgress(console):
        for _ in range(2):
            with budget.call():
                pass
    budget.close()

    assert printed(console).splitlines() == ["waits  for the call budget: 60 s"]
