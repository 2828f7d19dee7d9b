"""The commands `status` and `history`, from the ledger alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from safetyamp_pipelines.cli.shell import LARGEST, WORK_LEFT, AsJson, OneEntity, Strict, respond, with_ledger
from safetyamp_pipelines.operations.status import (
    COMMANDS,
    history_of,
    render_changes,
    render_session,
    render_status,
    session_of,
    status_of,
)


def status(strict: Strict = False, as_json: AsJson = False) -> None:
    """Show what is running, what the last pushes did, and what waits for people."""
    with with_ledger(as_json) as (ledger, settings):
        found = status_of(ledger, datetime.now(UTC), settings)
        timezone = settings.sync_config().schedule.timezone
    respond(as_json, found, render_status(found, timezone))
    if strict and any(facts[name] for facts in found["entities"].values() for name in COMMANDS):
        raise typer.Exit(WORK_LEFT)


def history(
    session: Annotated[int | None, typer.Argument(max=LARGEST, help="A session: shows its changes.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LARGEST, help="How many sessions.")] = 20,
    entity: OneEntity = None,
    as_json: AsJson = False,
) -> None:
    """List the last pushes, newest first: when, of what, with which plan, and the outcome; or the changes of one."""
    with with_ledger(as_json) as (ledger, settings):
        timezone = settings.sync_config().schedule.timezone
        one = None if session is None else session_of(ledger, session)
        sessions = history_of(ledger, limit, entity)
    if one is not None:
        respond(as_json, one, [render_session(one, timezone), *render_changes(one, timezone)])
    else:
        lines = [render_session(each, timezone) for each in sessions]
        respond(as_json, {"sessions": sessions}, lines or ["no push yet"])
