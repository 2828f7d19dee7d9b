"""The channels through which people are told, and the heartbeat, as a Dagster resource. What is told: `alerts/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import dagster as dg

from safetyamp_pipelines.operations.alerts.messages import Words
from safetyamp_pipelines.resources.settings import SettingsResource
from safetyamp_pipelines.settings.model import Settings, SettingsError

HOW_TO_CONFIGURE = "set ALERT_EMAIL_TO, ALERT_EMAIL_FROM and SMTP_SERVER, or ALERT_WEBHOOK_URL"


class Channel(Protocol):
    """One way to tell people."""

    def send(self, words: Words) -> str:
        """What was done, in words that may be shown. Raises NotTold when nobody was told."""
        ...


def channels_of(settings: Settings) -> dict[str, Channel]:
    """The configured channels by name: mail, webhook. Nothing is connected before something is sent."""
    from safetyamp_pipelines.operations.alerts.mail import MailChannel
    from safetyamp_pipelines.operations.alerts.webhook import WebhookChannel

    channels: dict[str, Channel] = {}
    if settings.alert_email_to:
        channels["mail"] = MailChannel(settings)
    if settings.alert_webhook_url is not None:
        channels["webhook"] = WebhookChannel(settings)
    return channels


class NotifierResource(dg.ConfigurableResource[Any]):
    """Tells people, by mail and webhook. Addresses and logins are in no run config."""

    settings: SettingsResource

    def channels(self) -> Mapping[str, Channel]:
        """The configured channels by name; none when there are none. While settings are wrong, those whose own are
        right, since somebody must hear of it; raises SettingsError when nobody can."""
        try:
            return channels_of(self.settings.get())
        except SettingsError as error:
            usable = channels_of(error.usable) if error.usable is not None else {}
            if not usable:
                raise
            return usable

    def beat(self) -> bool:
        """Call HEARTBEAT_URL, whose service tells people when the calls stop; whether there is one.

        Raises NotTold when it could not be called.
        """
        settings = self.settings.get()
        if settings.heartbeat_url is None:
            return False
        from safetyamp_pipelines.operations.alerts.webhook import beat

        beat(settings)
        return True
