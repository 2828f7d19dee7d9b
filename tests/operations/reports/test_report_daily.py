"""The report of a day: every change of the ledger on its day and no other, figures that add up, nobody's values."""

from __future__ import annotations

from datetime import date

from history import History

from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.operations.reports.daily import (
    DailyReport,
    daily_reports,
    day_begins,
    day_of,
    each_day,
    percentile,
    summary_of,
)

CHICAGO = "America/Chicago"
FRIDAY = date(2026, 11, 20)


def report_of(history: History, day: date = FRIDAY) -> DailyReport:
    (report,) = daily_reports(history.ledger, day, day, CHICAGO)
    return report


def test_a_change_belongs_to_the_companys_day_on_which_it_was_intended(history: History):
    history.at("2026-11-20 05:59")  # Thursday, one minute to midnight in Chicago
    history.push(e1="done")
    history.at("2026-11-20 06:00")
    history.push(e2="done")
    history.at("2026-11-21 05:59")
    history.push(e3="done")
    history.at("2026-11-21 06:00")
    history.push(e4="done")

    days = daily_reports(history.ledger, date(2026, 11, 19), date(2026, 11, 21), CHICAGO)

    assert [[change.key for change in day.changes] for day in days] == [["e1"], ["e2", "e3"], ["e4"]]
    assert [len(day.sessions) for day in days] == [1, 2, 1]


def test_a_day_of_a_clock_change_is_whole():
    spring, autumn = date(2026, 3, 8), date(2026, 11, 1)
    hours = [
        (day_begins(date.fromordinal(day.toordinal() + 1), CHICAGO) - day_begins(day, CHICAGO)).total_seconds() / 3600
        for day in (spring, FRIDAY, autumn)
    ]

    assert hours == [23, 24, 25]
    assert day_of(day_begins(autumn, CHICAGO), CHICAGO) == autumn
    assert list(each_day(date(2026, 2, 27), date(2026, 3, 1)))[-1] == date(2026, 3, 1)


def test_a_day_without_changes_is_an_empty_report_not_an_error(history: History):
    summary = summary_of(report_of(history))

    assert (summary["changes"], summary["calls"]["all"], summary["causes"]) == (0, 0, [])
    assert summary["wait_minutes"]["p50"] is None
    assert summary["leavers"]["off"] == 0


def test_the_figures_of_a_day_add_up(history: History):
    # given a quiet look, then a push in which a person leaves, one is changed, two are refused and one is unanswered
    history.look(e1="unchanged", e2="unchanged", e3="unchanged", e4="unchanged", e5="unchanged")
    history.ledger.record_observation("users", 1800, history.clock.now, calls=18)
    history.ledger.record_observation("viewpoint/employees", 2000, history.clock.now)
    history.at("2026-11-20 16:30")
    refused = ("failed", 422, ["email"], "refused")
    history.push(minutes=30, actions={"e1": "deactivate"}, e1="done", e2="done", e3=refused, e4=refused, e5=None)

    # when the day is reported
    summary = summary_of(report_of(history))

    # then every change is counted once, and the causes of failure tell how many they hit
    assert summary["entities"] == {
        "employees": {"deactivate done": 1, "update done": 1, "update failed": 2, "update unanswered": 1}
    }
    assert (summary["changes"], summary["done"], summary["sessions"]) == (5, 2, 1)
    assert summary["calls"] == {"reading": 18, "writing": 5, "all": 23}
    assert summary["wait_minutes"] == {
        "measured": 2,
        "not_known": 0,
        "p50": 60.0,
        "p95": 60.0,
        "longest": 60.0,
        "at_least_p50": 30.0,
    }
    assert (summary["leavers"]["off"], summary["leavers"]["not_off"]) == (1, 0)
    assert summary["leavers"]["hours"]["longest"] == 1.0
    why = "SafetyAmp refused email (status 422)"
    unanswered = "no answer is known: the next push looks it up"
    assert [(cause["why"], cause["changes"], cause["keys"]) for cause in summary["causes"]] == [
        (why, 2, ["e3", "e4"]),
        (unanswered, 1, ["e5"]),
    ]


def test_a_leaver_refused_first_and_off_later_the_same_day_is_off(history: History):
    leaving = {"e1": "deactivate", "e2": "deactivate"}
    history.push(actions=leaving, e1=("failed", 500, None, "answered 500"), e2="failed")
    history.push(actions=leaving, e1="done")

    leavers = summary_of(report_of(history))["leavers"]

    assert (leavers["off"], leavers["not_off"]) == (1, 1)


def test_a_report_holds_no_persons_value(history: History):
    history.push(e1=("failed", 422, {"email": "nora.test@example.com is taken"}, "nora.test@example.com is taken"))
    history.push(e2=("failed", None, "text of an error about Nora", "+15045550123 is not a number"))

    report = report_of(history)
    everything = str(plain(report)) + str(summary_of(report))

    assert [change.fields for change in report.changes] == [("email", "first_name")] * 2
    assert [change.refused_fields for change in report.changes] == [("email",), ()]
    for value in ("Nora", "nora.test", "5045550123"):
        assert value not in everything


def test_a_percentile_is_one_of_the_figures():
    figures = [float(number) for number in range(1, 11)]

    assert [percentile(figures, share) for share in (0.5, 0.95, 1.0)] == [5.0, 10.0, 10.0]
    assert percentile([7.0], 0.5) == 7.0
    assert percentile([], 0.95) is None
