"""Alerts by webhook, for Slack, Teams and any receiver that accepts JSON; and the heartbeat. The addresses are
secrets: no error contains them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from safetyamp_pipelines.operations.alerts.messages import Taken, Words, webhook_body
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.model.errors import CallError, NotDelivered

TIMEOUT = 10.0
"""Seconds to connect, and to answer: a tick of a sensor has a minute for everything."""
LARGEST_ANSWER = 1024 * 1024


@dataclass(frozen=True)
class WebhookChannel:
    """The receiver at ALERT_WEBHOOK_URL."""

    settings: Settings

    def send(self, words: Words, _only: Collection[str] = ()) -> Taken:
        """Post the message in the receiver's format; NotDelivered unless it confirms that it has it."""
        assert self.settings.alert_webhook_url is not None
        url = self.settings.alert_webhook_url.get_secret_value()
        status = _called(self.settings, "POST", url, "ALERT_WEBHOOK_URL", json=webhook_body(words, url))
        return Taken(f"taken with {status}")


def beat(settings: Settings) -> str:
    """Call HEARTBEAT_URL once, and return the result as text; NotDelivered when it fails."""
    assert settings.heartbeat_url is not None
    status = _called(settings, "GET", settings.heartbeat_url.get_secret_value(), "HEARTBEAT_URL")
    return f"answered {status}"


def _called(settings: Settings, method: str, url: str, variable: str, **request: Any) -> int:
    """The status of a successful answer. Redirects are not followed: they lead to pages for people."""
    # They bring requests: the definitions load without.
    from safetyamp_pipelines.systems.http import answers, exchange

    session = exchange.HttpSession(TIMEOUT, settings.requests_ca_bundle, largest=LARGEST_ANSWER)
    try:
        with closing(session):
            status = session.exchange(answers.Call(variable, method, ""), url, **request).status
    except CallError as error:
        raise NotDelivered(f"the address in {variable}: {error.detail}. Check it, and the network") from None
    if 200 <= status < 300:
        return status
    raise NotDelivered(f"the address in {variable} answered {status}. {_advice(status, variable)}")


def _advice(status: int, variable: str) -> str:
    if status == 429 or status >= 500:
        return "It is tried again at the next tick"
    return f"Make a new one in the other system and set it as {variable}"
