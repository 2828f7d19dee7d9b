"""The commands with which people decide about single records: decide, link, refuse, later. The work:
`operations/decisions.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from safetyamp_pipelines.cli.shell import (
    AsJson,
    By,
    EntityName,
    Key,
    OneEntity,
    Reason,
    command_group,
    console,
    require_text,
    respond,
    with_ledger,
)
from safetyamp_pipelines.operations.decisions import (
    Decider,
    decide_record,
    decisions_of,
    link_record,
    links_of,
    question_of,
    render_decision,
    render_link,
    render_unlinked,
    set_aside,
    undo_decision,
)
from safetyamp_pipelines.operations.explain.calls import render_value
from safetyamp_pipelines.operations.local_time import local_time, moment_of
from safetyamp_pipelines.operations.plan_step import load_stored
from safetyamp_pipelines.settings.loading import login_name
from safetyamp_pipelines.sync.entities.registry import entity_named
from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.sync.model.text import displayed_lines
from safetyamp_pipelines.systems.snapshots.store import snapshot_store

links = command_group("List the links between source and SafetyAmp records.")

HeldHash = Annotated[str, typer.Argument(help="The hash of the changes that a guard holds, or its first 8 characters.")]
HeldKeys = Annotated[list[str] | None, typer.Option("--key", help="Only this source key; may be repeated.")]
Until = Annotated[str, typer.Option("--until", help="When to ask again: 2026-12-01, or 2026-12-01T09:00.")]
SafetyAmpId = Annotated[str, typer.Argument(help="The id of the record in SafetyAmp.")]


def decide(
    entity: EntityName,
    key: Key,
    choice: Annotated[
        str,
        typer.Argument(help="source, keep, link or leave; for a change that a guard holds approve, refuse or later."),
    ] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; others read it.")] = "",
    to: Annotated[str, typer.Option("--to", help="With link: the id of the record in SafetyAmp.")] = "",
    until: Until = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take the decision about this record back.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Decide about a record that waits for a person; without a choice, show both sides and ask."""
    with with_ledger(as_json) as (ledger, settings):
        spec, who, config = entity_named(entity), by or login_name(), settings.sync_config()
        zone = config.schedule.timezone
        if undo:
            document = undo_decision(ledger, spec.name, key, who)
        else:
            store = snapshot_store(settings)
            stored = load_stored(spec, store, ledger, config, trials=True)
            question = question_of(stored, ledger, key)
            if not choice:
                console(sys.stderr).print(displayed_lines("\n".join(render_question(question, zone))), markup=False)
                choice = _prompt(f"choose {', '.join(question['choices'])}", question)
            if choice in question["choices"]:
                to = to or (_prompt("SafetyAmp id", question) if choice == "link" else "")
                until = until or (_prompt("ask again on (2026-12-01)", question) if choice == "later" else "")
                reason = reason.strip() or _prompt("reason", question)
            decider = Decider(who, login_name(), reason)
            moment = moment_of(until, zone) if until else None
            document = decide_record(stored, ledger, key, choice, decider, target_id=to, until=moment)
    respond(as_json, document, [_decided(document, zone), f"the next plan follows it: `safetyamp plan {spec.name}`"])


def _prompt(text: str, question: dict[str, Any]) -> str:
    """What a person answers; Refusal with the choices where nobody does, as in a script. Not `typer.prompt`, which
    writes a blank to standard output, where the JSON document goes."""
    typer.echo(f"{text}: ", nl=False, err=True)
    if answer := sys.stdin.readline().strip():
        return answer
    typer.echo(err=True)
    ways = ", ".join(question["choices"]) or "nothing but --undo"
    raise Refusal(f"nothing was decided, since nobody answered: name one of {ways}, and give --reason")


def render_question(question: dict[str, Any], timezone: str) -> Iterator[str]:
    """What `question_of` found, both sides beside each other."""
    yield " ".join(filter(None, (question["noun"], question["key"], question["name"]))) + f": {question['question']}"
    for field in question["fields"]:
        sides = f"SafetyAmp {render_value(field['safetyamp'])}, the source {render_value(field['source'])}"
        yield f"  {field['label']}: {sides}"
    for candidate in question["candidates"]:
        yield f"  in SafetyAmp: id {candidate['id']} {candidate['name']}"
    if question["decided"] is not None:
        yield f"  {_decided(question['decided'], timezone)}; --undo takes it back"
    for choice, words in question["choices"].items():
        yield f"  {choice:<8} {words}"


def _decided(decision: dict[str, Any], timezone: str) -> str:
    if decision["choice"] == "approve":
        until = f"until {local_time(decision['expires_at'], timezone)}"
        second = f"; {decision['second_person']}" if decision["second_person"] else ""
        return f"{decision['entity']} {decision['source_key']}: approved by {decision['who']} {until}{second}"
    return render_decision(decision, timezone)


def decisions(entity: OneEntity = None, as_json: AsJson = False) -> None:
    """List what people decided about single records, newest first, and what became of it."""
    with with_ledger(as_json) as (ledger, settings):
        found = decisions_of(ledger, entity)
        zone = settings.sync_config().schedule.timezone
    lines = [render_decision(one, zone) for one in found]
    respond(as_json, {"decisions": found}, lines or ["nothing was decided"])


def link(
    entity: EntityName, key: Key, target: SafetyAmpId, reason: Reason, by: By = None, as_json: AsJson = False
) -> None:
    """Link a source record to a SafetyAmp record. `unlink` removes the link; SafetyAmp stays as it is."""
    with with_ledger(as_json) as (ledger, settings):
        require_text(reason=reason)
        store, config = snapshot_store(settings), settings.sync_config()
        zone = config.schedule.timezone
        stored = load_stored(entity_named(entity), store, ledger, config, trials=True)
        document = link_record(stored, ledger, key, target, Decider(by or login_name(), login_name(), reason))
    respond(as_json, document, [_decided(document, zone), f"`safetyamp plan {entity}` shows what that changes"])


@links.callback()
def links_group() -> None:
    """List the links between source and SafetyAmp records."""


@links.command("list")
def links_list(
    entity: OneEntity = None,
    every: Annotated[bool, typer.Option("--all", help="Also the links that no person made.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the links that people made or removed: who, when and why; with --all every link there is."""
    with with_ledger(as_json) as (ledger, settings):
        zone = settings.sync_config().schedule.timezone
        found = links_of(ledger, entity)
    shown = [one for one in found["links"] if every or one["who"]]
    lines = [render_link(one, zone) for one in shown] + [render_unlinked(one, zone) for one in found["unlinked"]]
    respond(as_json, {**found, "links": shown}, lines or ["no link was ever made or removed by hand"])


def refuse(changes: HeldHash, reason: Reason, key: HeldKeys = None, by: By = None, as_json: AsJson = False) -> None:
    """Do not push these held changes, and do not ask again until they change."""
    _set_aside(changes, reason, key, by, "", as_json)


def later(
    changes: HeldHash, reason: Reason, until: Until, key: HeldKeys = None, by: By = None, as_json: AsJson = False
) -> None:
    """Do not push these held changes yet, and ask again at that time."""
    _set_aside(changes, reason, key, by, until, as_json)


def _set_aside(changes: str, reason: str, keys: list[str] | None, by: str | None, until: str, as_json: bool) -> None:
    with with_ledger(as_json) as (ledger, settings):
        require_text(reason=reason)
        decider = Decider(by or login_name(), login_name(), reason)
        zone = settings.sync_config().schedule.timezone
        moment = moment_of(until, zone) if until else None
        found = set_aside(snapshot_store(settings), ledger, changes, decider, until=moment, keys=keys or ())
    how = "refused" if moment is None else f"put off until {local_time(found['until'], zone)}"
    line = f"{how} by {found['who']}: {len(found['keys'])} changes of {found['entity']}: {', '.join(found['keys'])}"
    respond(as_json, found, [line])
