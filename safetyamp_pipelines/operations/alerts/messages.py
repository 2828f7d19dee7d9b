"""Messages as text: subject, plain text, and the body of a webhook. Only keys, counts, rules and commands.

The subject has the figure and the consequence. Then what to do, each way with its command and its link, then details
and keys. Links need the addresses of the desk (DESK_URL) and of the Dagster UI (DAGSTER_UI_URL).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from safetyamp_pipelines.operations.alerts.delivery import HOUR, Message
from safetyamp_pipelines.operations.alerts.problems import Problem
from safetyamp_pipelines.operations.local_time import duration, local_time
from safetyamp_pipelines.sync.model.text import displayed, displayed_lines

SLACK_HOSTS = ("slack.com", "slack-gov.com")
LONGEST_BLOCK = 2900
LONGEST_BODY = 12_000
"""Slack takes 13,000 characters in all."""
LONGEST_DETAIL = 2000
"""Characters in a section of Slack, which refuses more than 3000."""


@dataclass(frozen=True)
class Links:
    """Where the Dagster UI and the desk are opened, and the company's time zone."""

    ui_url: str | None = None
    desk_url: str | None = None
    timezone: str = "UTC"


@dataclass(frozen=True)
class Words:
    """A message as text: a subject of one line, and paragraphs of lines."""

    subject: str
    paragraphs: tuple[str, ...]

    @property
    def text(self) -> str:
        """All paragraphs as plain text."""
        return "\n\n".join(self.paragraphs) + "\n"


class Taken(NamedTuple):
    """What was done, as text that may be shown, and who is to be tried again, by names that reveal no address."""

    what: str
    deferred: tuple[str, ...] = ()


TEST = Words(
    "[SafetyAmp sync] test of the alerts",
    ("This is a test, sent by `safetyamp alerts test`. Alerts of the sync arrive here; nothing needs to be done.",),
)


def render_message(message: Message, links: Links, now: float) -> Words:
    """The message as text. The subject is one line, as a mail header requires."""
    # Whole hours: a message that is sent again has the same text, and so the same id.
    seen_from = now // HOUR * HOUR if message.kind == "digest" else None
    paragraphs = ["\n".join(_lines(problem, links, seen_from)) for problem in message.problems]
    if message.kind == "digest":
        paragraphs.insert(0, "What came up, or recovered, since the last digest. None of it is urgent.")
    if message.held_back:
        paragraphs.append(f"and {message.held_back} more held back: they follow")
    if message.unlisted:
        paragraphs.append(
            f"{message.unlisted} more came while there was no room for them: look at the runs in the Dagster UI"
        )
    return Words(" ".join(_subject(message).split()), tuple(paragraphs))


def slack_body(words: Words) -> dict[str, Any]:
    """For an incoming webhook of Slack: the text is the notification, the blocks are the message."""
    sections, room = [], LONGEST_BODY
    for paragraph in words.paragraphs:
        room -= len(section := _escaped(paragraph)[:LONGEST_BLOCK])
        if room < 0:
            sections.append("There is more in Dagster; this message is full.")
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
    """For Teams, whose workflows accept only adaptive cards; `text` is for receivers that know no cards."""
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
    """The body that the receiver at this address accepts: Slack refuses attachments that are not its own."""
    host = urlsplit(url).hostname or ""
    is_slack = any(host == slack or host.endswith(f".{slack}") for slack in SLACK_HOSTS)
    return slack_body(words) if is_slack else card_body(words)


def _subject(message: Message) -> str:
    first, number = message.problems[0], len(message.problems) + message.held_back
    more = f" (and {number - 1} more)" if number > 1 else ""
    if message.kind == "digest":
        return f"[SafetyAmp sync] digest: {number} {'thing' if number == 1 else 'things'} to look at"
    return f"[SafetyAmp sync] {_name(first, is_over=message.kind == 'recovery')}{more}"


def _name(problem: Problem, *, is_over: bool) -> str:
    """The title; for a problem that has ended, without the consequence, which has ended too."""
    title = displayed(problem.title)
    return f"recovered: {title.partition('; ')[0]}" if is_over else title


def _lines(problem: Problem, links: Links, seen_from: float | None) -> Iterator[str]:
    yield _name(problem, is_over=not problem.is_news)
    if problem.is_news and problem.recovered_at is None:
        yield from _render_actions(problem, links)
    if problem.is_news and problem.detail:
        # Further lines are indented, so that a system's answer cannot pass for a line of ours.
        yield displayed_lines(problem.detail[:LONGEST_DETAIL]).replace("\n", "\n    ")
    if problem.is_news and problem.keys:
        yield f"Records: {displayed(problem.keys, LONGEST_DETAIL)}"
    yield _times(problem, links.timezone, seen_from)
    if problem.run_id:
        yield f"Run: {links.ui_url}/runs/{problem.run_id}" if links.ui_url else f"Run: {problem.run_id}"
    if problem.asset:
        yield f"Asset: {links.ui_url}/assets/{quote(problem.asset)}" if links.ui_url else f"Asset: {problem.asset}"


def _render_actions(problem: Problem, links: Links) -> Iterator[str]:
    """What people can do, each with its command and where the desk shows it."""
    link = f" → {links.desk_url}/{quote(problem.page)}" if links.desk_url and problem.page else ""
    for question, way in (("Right?", problem.right), ("Wrong?", problem.wrong), ("What to do:", problem.advice)):
        if way:
            yield f"{question} {displayed(way, LONGEST_DETAIL)}{link}"


def _times(problem: Problem, timezone: str, seen_from: float | None) -> str:
    """Since when, how often, and until when: in the company's own time."""
    times = "once" if problem.count == 1 else f"{problem.count} times, last {clock(problem.last, timezone)}"
    text = f"Since {clock(problem.first, timezone)}, seen {times}"
    if problem.recovered_at is not None:
        return f"{text}; recovered {clock(problem.recovered_at, timezone)}"
    return text if seen_from is None else f"{text}; open for {duration(max(0.0, seen_from - problem.first))}"


def clock(moment: float, timezone: str) -> str:
    """A moment as messages show it."""
    return local_time(datetime.fromtimestamp(moment, UTC), timezone)


def _unlinked(text: str) -> str:
    """A card reads Markdown: a title in brackets before an address would be a link to somewhere else."""
    return text.replace("](", "]\\(")


def _escaped(text: str) -> str:
    """The three signs that Slack reads as markup of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
