"""The channels through which people are notified. The messages are made in the modules beside this one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from safetyamp_pipelines.operations.alerts.mail import MailChannel
from safetyamp_pipelines.operations.alerts.messages import Taken, Words
from safetyamp_pipelines.operations.alerts.webhook import WebhookChannel
from safetyamp_pipelines.settings.model import Settings

HOW_TO_CONFIGURE = "set ALERT_EMAIL_TO, ALERT_EMAIL_FROM and SMTP_SERVER, or ALERT_WEBHOOK_URL"


class Channel(Protocol):
    """One way to notify people."""

    def send(self, words: Words, only: Collection[str] = ()) -> Taken:
        """Send to all, or to those `only` that an earlier answer named. Raises NotDelivered when it reached nobody."""
        ...


def channels_of(settings: Settings) -> dict[str, Channel]:
    """The configured channels by name: mail, webhook. Nothing is connected before something is sent."""
    channels: dict[str, Channel] = {}
    if settings.alert_email_to:
        channels["mail"] = MailChannel(settings)
    if settings.alert_webhook_url is not None:
        channels["webhook"] = WebhookChannel(settings)
    return channels


def owner_channels(settings: Settings) -> dict[str, MailChannel]:
    """A channel for each address that sync.yaml names as an owner, where mails are sent at all."""
    if not settings.alert_email_to:
        return {}
    return {address: MailChannel(settings, owner=address) for address in settings.sync_config().owners.addresses()}
