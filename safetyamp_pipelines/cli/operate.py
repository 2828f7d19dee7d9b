"""The commands that operators decide and ask with: pause, approve, failures, history, explain. The work: `answers/`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from safetyamp_pipelines.cli.shell import LARGEST, ledger_and_settings, print_json, require_entity, say, who_am_i
from safetyamp_pipelines.sync.model.errors import Refusal

failures = typer.Typer(no_args_is_help=True, help="The records SafetyAmp refused, and what is done about them.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; others read it.")]
By = Annotated[str | None, typer.Option("--by", help="Who decides; your login name without it.")]
EntityName = Annotated[str, typer.Argument(help="An entity, such as employees.")]
Key = Annotated[str, typer.Argument(help="The source key, such as an employee number.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the `safetyamp` command."""
    for command in (approve, pause, resume, status, history, explain):
        app.command()(command)
    app.add_typer(failures, name="failures")


def approve(
    plan: Annotated[str, typer.Argument(help="The hash of a refused plan, or at least its first 8 characters.")],
    reason: Reason,
    by: By = None,
    hours: Annotated[int, typer.Option(min=1, max=168, help="How long the approval stands.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Let exactly this plan be pushed although a guard refused it. A plan that differs needs another approval."""
    from safetyamp_pipelines.operations.decisions import refused_plan
    from safetyamp_pipelines.operations.plain import plain
    from safetyamp_pipelines.systems.snapshots.store import snapshot_store

    with ledger_and_settings(as_json) as (ledger, settings):
        _require_words(reason=reason)
        meant = refused_plan(snapshot_store(settings), plan)
        given = ledger.approve(meant.hash, meant.entity, by or who_am_i(), reason, timedelta(hours=hours))
    if as_json:
        print_json({**plain(given), "refused": plain(meant.refused)})
        return
    for refused in meant.refused:
        say(f"{refused.guard}: {refused.figures}", *(f"  {key}" for key in refused.keys))
    say(
        f"approved by {given.who} until {given.expires_at:%Y-%m-%d %H:%M} UTC: plan {given.plan_hash[:12]} of "
        f"{given.entity}. `safetyamp sync`, or `undo`, applies exactly this plan, or refuses again"
    )


def pause(reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Stop pushes between two calls, and let none start, until `safetyamp resume`. Plans are still made."""
    from safetyamp_pipelines.operations.plain import plain

    with ledger_and_settings(as_json) as (ledger, _):
        _require_words(reason=reason)
        before = ledger.pause_state()
        lasting = ledger.pause(by or who_am_i(), reason)
    if as_json:
        print_json({"paused": plain(lasting), "was_paused": before is not None})
    else:
        already = "already " if before is not None else ""
        say(f"{already}paused by {lasting.who} since {lasting.at:%Y-%m-%d %H:%M} UTC: {lasting.reason}")


def resume(by: By = None, as_json: AsJson = False) -> None:
    """End the pause."""
    from safetyamp_pipelines.operations.plain import plain

    with ledger_and_settings(as_json) as (ledger, _):
        ended = ledger.resume(by or who_am_i())
    if as_json:
        print_json({"ended": plain(ended)})
    else:
        say("syncing was not paused" if ended is None else f"resumed; {ended.who} had paused it: {ended.reason}")


def status(as_json: AsJson = False) -> None:
    """Whether syncing is paused, who is pushing, what the last push of each entity did, and what waits for people."""
    from safetyamp_pipelines.operations.status import status_of, told_status

    with ledger_and_settings(as_json) as (ledger, _):
        found = status_of(ledger, datetime.now(UTC))
    if as_json:
        print_json(found)
    else:
        say(*told_status(found))


def history(
    session: Annotated[int | None, typer.Argument(max=LARGEST, help="A session: shows its changes.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LARGEST, help="How many sessions.")] = 20,
    entity: Annotated[str | None, typer.Option(help="Only sessions of this entity.")] = None,
    as_json: AsJson = False,
) -> None:
    """The last pushes, newest first: when, of what, with which plan, and what became of it; or the changes of one."""
    from safetyamp_pipelines.operations.status import history_of, session_of, told_changes, told_session

    with ledger_and_settings(as_json) as (ledger, _):
        require_entity(entity)
        one = None if session is None else session_of(ledger, session)
        sessions = history_of(ledger, limit, entity)
    if one is not None:
        print_json(one) if as_json else say(told_session(one), *told_changes(one))
        return
    if as_json:
        print_json({"sessions": sessions})
    else:
        say(*map(told_session, sessions)) if sessions else say("nothing was ever pushed")


@failures.command("list")
def failures_list(as_json: AsJson = False) -> None:
    """Show every record SafetyAmp refused, with the fields, and what to mend where."""
    from safetyamp_pipelines.answers.failing import failures_of, told_failure

    with ledger_and_settings(as_json) as (ledger, _):
        found = failures_of(ledger, datetime.now(UTC))
    if as_json:
        print_json({"failures": found})
    else:
        say(*(line for failure in found for line in told_failure(failure)) if found else ("no failure stands",))


@failures.command("retry")
def failures_retry(
    entity: Annotated[str | None, typer.Argument(help="An entity, such as employees.")] = None,
    key: Annotated[str | None, typer.Argument(help="The source key, such as an employee number.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of the entity, or without one all there are.")] = False,
) -> None:
    """Have the next sync try again although nothing has changed."""
    from safetyamp_pipelines.answers.failing import decide

    with ledger_and_settings() as (ledger, _):
        if every == (key is not None):
            raise Refusal("name an entity and a key, or give --all")
        marked = decide(ledger, entity, key, "retry", datetime.now(UTC))
    say(*(f"{name}: the next sync tries it again" for name in marked) if marked else ("no failure stands",))


@failures.command("dismiss")
def failures_dismiss(entity: EntityName, key: Key) -> None:
    """Never try this again, also past its expiry, until its cause changes or `failures retry` names it."""
    from safetyamp_pipelines.answers.failing import decide

    with ledger_and_settings() as (ledger, _):
        marked = decide(ledger, entity, key, "dismissed", datetime.now(UTC))
    say(*(f"{name}: dismissed, not tried again until its cause changes" for name in marked))


def explain(
    noun: Annotated[str, typer.Argument(help="department, job, title, employee or vehicle.")],
    key: Key,
    runs: Annotated[int, typer.Option(min=1, max=LARGEST, help="How many runs back.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Why a record looks as it does in SafetyAmp, or why it is not there. Asks no system; shows personal data."""
    from safetyamp_pipelines.operations.explain.explain import explained
    from safetyamp_pipelines.operations.explain.lines import told_explanation
    from safetyamp_pipelines.systems.snapshots.store import snapshot_store

    with ledger_and_settings(as_json) as (ledger, settings):
        found = explained(noun, key, ledger, snapshot_store(settings), settings.sync_config(), runs)
    if as_json:
        print_json(found)
    else:
        say(*told_explanation(found))


def _require_words(**options: str) -> None:
    for name, text in options.items():
        if not text.strip():
            raise Refusal(f"--{name} must say something")
