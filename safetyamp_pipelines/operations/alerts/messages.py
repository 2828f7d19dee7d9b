"""Messages in words: subject, plain text, and the body of a webhook. Keys, counts, rules and commands alone.

Links need the address of the Dagster UI (DAGSTER_UI_URL); without it the run's id is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from safetyamp_pipelines.operations.alerts.delivery import Message
from safetyamp_pipelines.operations.alerts.problems import Problem
from safetyamp_pipelines.sync.model.text import displayed, displayed_lines

SLACK_HOSTS = ("slack.com", "slack-gov.com")
LONGEST_BLOCK = 2900
LONGEST_BODY = 12_000
"""Slack takes 13,000 characters in all."""
LONGEST_DETAIL = 2000
"""Characters in a section of Slack, which refuses more than 3000."""
_OPENING = {
    "alert": "Something needs attention now:",
    "recovery": "These problems have recovered:",
    "digest": "What came up, or recovered, since the last digest. None of it is urgent:",
}


@dataclass(frozen=True)
class Words:
    """A message in words: a subject of one line, and paragraphs of lines."""

    subject: str
    paragraphs: tuple[str, ...]

    @property
    def text(self) -> str:
        """All paragraphs as plain text."""
        return "\n\n".join(self.paragraphs) + "\n"


class Taken(NamedTuple):
    """What was done, in words that may be shown, and who is to be tried again, in names that show no address."""

    what: str
    deferred: tuple[str, ...] = ()


TEST = Words(
    "[SafetyAmp sync] test of the alerts",
    ("This is a test, sent by `safetyamp alerts test`. Alerts of the sync arrive here; nothing needs to be done.",),
)


def worded(message: Message, ui_url: str | None) -> Words:
    """The message in words. The subject is one line: a mail's header takes no more."""
    opening, *rest = (_OPENING[message.kind], *(_paragraph(problem, ui_url) for problem in message.problems))
    more = [f"and {message.held_back} more held back: they follow"] if message.held_back else []
    if message.unlisted:
        more.append(f"{message.unlisted} more came while there was no room for them: look at the runs in Dagster")
    return Words(" ".join(_subject(message).split()), (opening, *rest, *more))


def slack_body(words: Words) -> dict[str, Any]:
    """For an incoming webhook of Slack: the text is the notification, the blocks are what is shown."""
    sections, room = [], LONGEST_BODY
    for paragraph in words.paragraphs:
        room -= len(section := _escaped(paragraph)[:LONGEST_BLOCK])
        if room < 0:
            sections.append("More follows in Dagster: a message takes no more.")
            break
        sections.append(section)
    return {
        "text": _escaped(words.subject),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": words.subject[:150]}},
            *({"type": "section", "text": {"type": "mrkdwn", "text": section}} for section in sections),
        ],
    }


def card_body(words: Words) -> dict[str, Any]:
    """For Teams, whose workflows take adaptive cards alone; `text` is for receivers that know no cards."""
    head = {"type": "TextBlock", "text": _unlinked(words.subject), "weight": "Bolder", "size": "Medium", "wrap": True}
    # In a card a single line break is a blank: two make a new line.
    blocks = [
        {"type": "TextBlock", "text": _unlinked(part).replace("\n", "\n\n"), "wrap": True} for part in words.paragraphs
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [head, *blocks],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "text": _unlinked(f"{words.subject}\n\n{words.text}"), "attachments": [attachment]}


def webhook_body(words: Words, url: str) -> dict[str, Any]:
    """The body that the receiver at this address takes: Slack refuses attachments that are not its own."""
    host = urlsplit(url).hostname or ""
    is_slack = any(host == slack or host.endswith(f".{slack}") for slack in SLACK_HOSTS)
    return slack_body(words) if is_slack else card_body(words)


def _subject(message: Message) -> str:
    first, number = message.problems[0], len(message.problems) + message.held_back
    more = f" (and {number - 1} more)" if number > 1 else ""
    if message.kind == "digest":
        return f"[SafetyAmp sync] digest: {number} {'thing' if number == 1 else 'things'} to look at"
    return f"[SafetyAmp sync] {'recovered: ' if message.kind == 'recovery' else ''}{displayed(first.title)}{more}"


def _paragraph(problem: Problem, ui_url: str | None) -> str:
    return "\n".join(_lines(problem, ui_url))


def _lines(problem: Problem, ui_url: str | None) -> Iterator[str]:
    is_news = problem.is_untold
    title = displayed(problem.title)
    yield title if is_news else f"recovered: {title}"
    if is_news and problem.detail:
        # Further lines are set back: what a system answered cannot pass for a line of ours.
        yield displayed_lines(problem.detail[:LONGEST_DETAIL]).replace("\n", "\n    ")
    times = "once" if problem.count == 1 else f"{problem.count} times"
    seen = f"seen {times}, first {clock(problem.first)}"
    yield seen + (f", last {clock(problem.last)}" if problem.count > 1 else "")
    if problem.recovered_at is not None:
        yield f"recovered {clock(problem.recovered_at)}"
    elif problem.advice:
        yield f"What to do: {displayed(problem.advice, LONGEST_DETAIL)}"
    if problem.run_id:
        yield f"Run: {ui_url}/runs/{problem.run_id}" if ui_url else f"Run: {problem.run_id}"
    if problem.asset:
        yield f"Asset: {ui_url}/assets/{quote(problem.asset)}" if ui_url else f"Asset: {problem.asset}"


def clock(moment: float) -> str:
    """A moment as messages show it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _unlinked(text: str) -> str:
    """A card reads Markdown: a title in brackets before an address would be a link to somewhere else."""
    return text.replace("](", "]\\(")


def _escaped(text: str) -> str:
    """The three signs that Slack reads as markup of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
