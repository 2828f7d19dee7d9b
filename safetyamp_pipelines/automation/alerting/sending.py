"""Sending the message that is due through one channel, for every sensor that notifies people."""

from __future__ import annotations

from dataclasses import replace

from safetyamp_pipelines.operations.alerts.channels import Channel
from safetyamp_pipelines.operations.alerts.delivery import HOUR, next_message
from safetyamp_pipelines.operations.alerts.messages import Links, Words, render_message
from safetyamp_pipelines.operations.alerts.problems import Deferred, State
from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import NotDelivered

DEFERRED_EVERY, DEFERRED_FOR = 300.0, 86_400.0
"""Seconds between two tries, and until trying stops."""
MOST_DEFERRED = 3
"""How many messages are kept whole in the cursor; older ones are not sent again."""
log = get_logger(__name__)


def links_of(settings: Settings) -> Links:
    """Where the links in messages lead, and the time zone of their times."""
    return Links(settings.dagster_ui_url, settings.desk_url, settings.sync_config().schedule.timezone)


def deliver(name: str, channel: Channel, state: State, links: Links, now: float) -> tuple[State, str, bool]:
    """Send the message that is due, if any: the state after that, what was done, and whether the channel works.

    A message that was not delivered leaves the state as it was: the next tick makes it again, with what came meanwhile.
    """
    state, again = _send_deferred(name, channel, state, now)
    message, after = next_message(state, now)
    if message is None:
        return after, again, True
    words = render_message(message, links, now)
    try:
        what, deferred = channel.send(words)
    except NotDelivered as error:
        log.warning("not_delivered", channel=name, reason=str(error))
        return state, f"not delivered, tried again: {error}", False
    log.info("delivered", channel=name, kind=message.kind, problems=len(message.problems))
    if deferred:
        waiting = Deferred(deferred, words.subject, words.paragraphs, now, now)
        after = replace(after, deferred=(*after.deferred, waiting)[-MOST_DEFERRED:])
    return after, "; ".join(filter(None, (again, f"{message.kind} of {len(message.problems)}, {what}"))), True


def _send_deferred(name: str, channel: Channel, state: State, now: float) -> tuple[State, str]:
    """Send what some receivers deferred to them once more, and to nobody else: greylisting ends within minutes."""
    left, done = [], []
    for one in state.deferred:
        if now < one.last + DEFERRED_EVERY:
            left.append(one)
            continue
        deferred = one.receivers
        try:
            what, deferred = channel.send(Words(one.subject, one.paragraphs), one.receivers)
            done.append(f"once more, {what}")
        except NotDelivered as error:
            done.append(f"not taken, tried again: {error}")
        if deferred and now < one.first + DEFERRED_FOR:
            left.append(replace(one, receivers=deferred, last=now))
        elif deferred:
            log.warning("given_up", channel=name, receivers=len(deferred), hours=DEFERRED_FOR / HOUR)
    return replace(state, deferred=tuple(left)), "; ".join(done)
