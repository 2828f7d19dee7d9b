"""The commands with which operators decide: pause, approve, failures, links. The work: `operations/` and the ledger."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from safetyamp_pipelines.cli.shell import (
    AsJson,
    By,
    EntityName,
    Key,
    OneEntity,
    Reason,
    command_group,
    print_lines,
    require_text,
    respond,
    with_ledger,
)
from safetyamp_pipelines.jira.book import open_book
from safetyamp_pipelines.operations.decisions import (
    Decider,
    decide,
    failures_of,
    render_failure,
    render_unlinked,
    unlinked_of,
)
from safetyamp_pipelines.operations.decisions import approve as approve_held
from safetyamp_pipelines.operations.decisions import unlink as forget_link
from safetyamp_pipelines.operations.local_time import local_time
from safetyamp_pipelines.operations.plain import plain
from safetyamp_pipelines.settings.loading import login_name
from safetyamp_pipelines.sync.model.errors import PlanRefused, Refusal
from safetyamp_pipelines.systems.snapshots.store import snapshot_store

APPLIES = {"jira": "`safetyamp jira presence`, or the next night, marks exactly these issues as gone"}
"""What carries out an approval that is not about SafetyAmp."""
failures = command_group("List, retry or dismiss the records that SafetyAmp refused.")


def approve(
    changes: Annotated[
        str, typer.Argument(help="The hash of the changes that a guard holds, or its first 8 characters.")
    ],
    reason: Reason,
    key: Annotated[list[str] | None, typer.Option("--key", help="Only this source key; may be repeated.")] = None,
    by: By = None,
    hours: Annotated[int, typer.Option(min=1, max=168, help="How long the approval is valid.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Allow the push of exactly these held changes; a change that differs by then needs another approval."""
    with with_ledger(as_json) as (ledger, settings):
        require_text(reason=reason)
        zone = settings.sync_config().schedule.timezone
        decider, lasts = Decider(by or login_name(), login_name(), reason), timedelta(hours=hours)
        try:
            given = approve_held(snapshot_store(settings), ledger, changes, decider, lasts=lasts, keys=key or ())
        except PlanRefused:  # Jira is asked only for what no plan holds
            if not settings.has_jira:
                raise
            with closing(open_book(settings)) as book:
                found = book.approve_gone(ledger, changes, decider, key or (), lasts)
            if found is None:
                raise
            given = found
    guards = [f"{refused['guard']}: {refused['figures']}" for refused in given["refused"]]
    approved = (
        f"approved by {given['who']} (logged in as {given['login']}) until {local_time(given['expires_at'], zone)}: "
        f"{given['plan_hash'][:12]} of {given['entity']}. "
        f"{APPLIES.get(given['entity'], '`safetyamp sync`, or `undo`, applies exactly these changes')}"
    )
    second = [given["second_person"]] if given.get("second_person") else []
    respond(as_json, given, [*guards, *(f"  {key}" for key in given["keys"]), approved, *second])


def pause(reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Stop pushes between two calls, and let none start, until `safetyamp resume`. Plans are still made."""
    with with_ledger(as_json) as (ledger, settings):
        require_text(reason=reason)
        zone, before = settings.sync_config().schedule.timezone, ledger.pause_state()
        lasting = ledger.pause(by or login_name(), reason)
    already = "already " if before is not None else ""
    line = f"{already}paused by {lasting.who} since {local_time(lasting.at, zone)}: {lasting.reason}"
    respond(as_json, {"paused": plain(lasting), "was_paused": before is not None}, [line])


def resume(by: By = None, as_json: AsJson = False) -> None:
    """End the pause."""
    with with_ledger(as_json) as (ledger, _):
        ended = ledger.resume(by or login_name())
    line = "syncing was not paused" if ended is None else f"resumed; {ended.who} had paused it: {ended.reason}"
    respond(as_json, {"ended": plain(ended)}, [line])


@failures.command("list")
def failures_list(as_json: AsJson = False) -> None:
    """Show every record SafetyAmp refused, with the fields, and what to correct where."""
    with with_ledger(as_json) as (ledger, settings):
        found, zone = failures_of(ledger, datetime.now(UTC)), settings.sync_config().schedule.timezone
    lines = [line for failure in found for line in render_failure(failure, zone)]
    respond(as_json, {"failures": found}, lines or ["no open failures"])


@failures.command("retry")
def failures_retry(
    entity: Annotated[str | None, typer.Argument(help="An entity, such as employees.")] = None,
    key: Annotated[str | None, typer.Argument(help="The source key, such as an employee number.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of the entity, or without one all there are.")] = False,
) -> None:
    """Have the next sync try again although nothing has changed."""
    with with_ledger() as (ledger, _):
        if every == (key is not None):
            raise Refusal("name an entity and a key, or give --all")
        marked = decide(ledger, entity, key, "retry", datetime.now(UTC))
    print_lines(*(f"{name}: the next sync tries it again" for name in marked) if marked else ("no open failures",))


@failures.command("dismiss")
def failures_dismiss(entity: EntityName, key: Key) -> None:
    """Never try this again, also past its expiry, until its cause changes or `failures retry` names it."""
    with with_ledger() as (ledger, _):
        marked = decide(ledger, entity, key, "dismissed", datetime.now(UTC))
    print_lines(*(f"{name}: dismissed, not tried again until its cause changes" for name in marked))


def unlink(entity: EntityName, key: Key, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Remove a wrong link; the next plan matches the record anew. SafetyAmp stays as it is."""
    with with_ledger(as_json) as (ledger, settings):
        require_text(reason=reason)
        found = plain(forget_link(ledger, entity, key, by or login_name(), reason))
        line = render_unlinked(found, settings.sync_config().schedule.timezone)
    respond(as_json, found, [line, f"`safetyamp plan {entity}` shows what it is matched with now"])


def unlinked(entity: OneEntity = None, as_json: AsJson = False) -> None:
    """List the links that people removed, newest first: who, when and why."""
    with with_ledger(as_json) as (ledger, settings):
        found = unlinked_of(ledger, entity)
        zone = settings.sync_config().schedule.timezone
    lines = [render_unlinked(one, zone) for one in found]
    respond(as_json, {"unlinked": found}, lines or ["no link was ever removed by hand"])
