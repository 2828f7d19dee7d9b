"""Outside text misleads nobody on any surface: terminal, mail, Slack, cards, spreadsheets."""

from __future__ import annotations

import json

import pytest

from safetyamp_pipelines.cli.shell import print_json, print_lines
from safetyamp_pipelines.desk.view import TEMPLATES
from safetyamp_pipelines.operations.alerts.messages import Words, webhook_body
from safetyamp_pipelines.operations.sheet import csv_text

HOSTILE = "Anna\x1b[2J\x9b31m\u202eanna"


def test_a_terminal_is_not_steered(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines(f"paused by {HOSTILE}: moves house\nall is well\r", "second")
    print_json({"reason": f"{HOSTILE}\nall is well"})

    first, second, *document = capsys.readouterr().out.splitlines()
    assert first.isprintable()
    assert (first.startswith("paused by Anna"), second) == (True, "second")
    assert all(line.isprintable() for line in document)
    assert json.loads("".join(document)) | {"ledger_used": ""} == {
        "ledger_used": "",
        "reason": f"{HOSTILE}\nall is well",
    }


def test_a_page_shows_what_would_mislead_its_reader() -> None:
    page = TEMPLATES.from_string("<p>{{ name }}</p>").render(name=f"<b>{HOSTILE}")

    assert page == r"<p>&lt;b&gt;Anna\x1b[2J\x9b31m\u202eanna</p>"


@pytest.mark.parametrize("cell", ["=1+1", " =1", "\n=1", "\ufeff=1", "\uff1d1", "\t@x", "+1", "-1", "@x"])
def test_no_cell_becomes_a_formula(cell: str) -> None:
    assert csv_text(["a"], [[cell]]).partition("\r\n")[2].lstrip('"').startswith("'")


def test_a_title_is_no_link_in_a_card_and_no_markup_in_slack() -> None:
    words = Words("[click](https://evil.example)", ("<!channel> & [click](https://evil.example)",))

    card = webhook_body(words, "https://company.webhook.office.com/x")
    slack = webhook_body(words, "https://hooks.slack-gov.com/x")

    assert "](" not in json.dumps(card)
    assert slack["blocks"][1]["text"]["text"].startswith("&lt;!channel&gt; &amp; ")


def test_a_message_of_slack_is_never_longer_than_it_takes() -> None:
    words = Words("subject", tuple(f"{number} " + "x" * 5000 for number in range(50)))

    body = webhook_body(words, "https://hooks.slack.com/x")

    assert len(json.dumps(body)) < 14_000
    assert body["blocks"][-1]["text"]["text"].startswith("There is more")
