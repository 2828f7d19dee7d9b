"""Messages in words: what each holds, and that Slack and Teams take their bodies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safetyamp_pipelines.operations.alerts.delivery import Message
from safetyamp_pipelines.operations.alerts.messages import (
    LONGEST_BLOCK,
    TEST,
    Links,
    Words,
    render_message,
    webhook_body,
)
from safetyamp_pipelines.operations.alerts.problems import Level, Problem

NOON = 1_795_262_400.0
LINKS = Links("https://dagster.example.com", "https://desk.example.com", "America/Chicago")
PROBLEM = Problem(
    level=Level.CRITICAL,
    title="Samsara refuses our login",
    needs=("step/samsara__drivers",),
    count=2,
    first=NOON,
    last=NOON + 120,
    waits_since=NOON,
    detail="Samsara GET /fleet/drivers answered 401",
    advice="check SAMSARA_API_KEY",
    page="state",
    run_id="1f2e3d4c",
    asset="samsara/drivers",
)


def test_an_alert_says_what_it_is_since_when_what_to_do_and_where_to_look():
    words = render_message(Message("alert", (PROBLEM,)), LINKS, NOON)

    assert words.subject == "[SafetyAmp sync] Samsara refuses our login"
    assert words.paragraphs[0].splitlines() == [
        "Samsara refuses our login",
        "What to do: check SAMSARA_API_KEY → https://desk.example.com/state",
        "Samsara GET /fleet/drivers answered 401",
        "Since 2026-11-21 06:00 CST, seen 2 times, last 2026-11-21 06:02 CST",
        "Run: https://dagster.example.com/runs/1f2e3d4c",
        "Asset: https://dagster.example.com/assets/samsara/drivers",
    ]


def test_without_the_address_of_the_ui_run_and_asset_are_named():
    text = render_message(Message("alert", (PROBLEM,)), Links(), NOON).text

    assert "Run: 1f2e3d4c\nAsset: samsara/drivers\n" in text


def test_a_recovery_says_what_is_over_since_when_and_no_more_what_to_do():
    over = replace(PROBLEM, notified=Level.CRITICAL, recovered_at=NOON + 600)

    words = render_message(Message("recovery", (over,)), Links(), NOON)

    assert words.subject == "[SafetyAmp sync] recovered: Samsara refuses our login"
    assert "; recovered 2026-11-21 12:10 UTC" in words.text
    assert "What to do" not in words.text


def test_several_problems_are_counted_in_the_subject_and_those_that_follow_are_told():
    words = render_message(Message("alert", (PROBLEM, PROBLEM), held_back=3, unlisted=2), Links(), NOON)

    assert words.subject == "[SafetyAmp sync] Samsara refuses our login (and 4 more)"
    assert words.paragraphs[-2:] == (
        "and 3 more held back: they follow",
        "2 more came while there was no room for them: look at the runs in the Dagster UI",
    )


def test_slack_takes_blocks_in_its_own_markup_within_its_limits():
    words = Words("a < b & c", ("<!channel> & co", "x" * 5000))

    body = webhook_body(words, "https://hooks.slack.com/services/T/B/X")

    assert body["text"] == "a &lt; b &amp; c"
    assert body["blocks"][1]["text"]["text"] == "&lt;!channel&gt; &amp; co"
    assert len(body["blocks"][2]["text"]["text"]) == LONGEST_BLOCK
    assert "attachments" not in body


@pytest.mark.parametrize("url", ["https://prod-1.westeurope.logic.azure.com/workflows/x", "https://notslack.com/x"])
def test_every_other_receiver_gets_a_card_and_the_text(url: str):
    body = webhook_body(TEST, url)

    assert body["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert body["attachments"][0]["content"]["type"] == "AdaptiveCard"
    assert body["text"].startswith(TEST.subject)
