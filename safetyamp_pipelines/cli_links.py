"""The commands about links, the remembered pairs of source and SafetyAmp records. The work: `answers/unlinking.py`."""

from __future__ import annotations

from typing import Annotated

import typer

from safetyamp_pipelines.cli.operate import AsJson, By, EntityName, Key, Reason
from safetyamp_pipelines.cli.shell import ledger_and_settings, print_json, require_entity, say, who_am_i
from safetyamp_pipelines.sync.model.errors import Refusal


def register(app: typer.Typer) -> None:
    """Add these commands to the `safetyamp` command."""
    app.command()(unlink)
    app.command()(unlinked)


def unlink(entity: EntityName, key: Key, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Forget a wrong link: the next plan recognises the record anew. SafetyAmp stays as it is."""
    from safetyamp_pipelines.answers.unlinking import told_unlinked
    from safetyamp_pipelines.answers.unlinking import unlink as forget_link
    from safetyamp_pipelines.operations.plain import plain

    with ledger_and_settings(as_json) as (ledger, _):
        if not reason.strip():
            raise Refusal("--reason must say something")
        found = plain(forget_link(ledger, entity, key, by or who_am_i(), reason))
    if as_json:
        print_json(found)
    else:
        say(told_unlinked(found), f"`safetyamp plan {entity}` shows what it is recognised as now")


def unlinked(
    entity: Annotated[str | None, typer.Option(help="Only links of this entity.")] = None, as_json: AsJson = False
) -> None:
    """The links that people had forgotten, newest first: who, when and why."""
    from safetyamp_pipelines.answers.unlinking import told_unlinked, unlinked_of

    with ledger_and_settings(as_json) as (ledger, _):
        require_entity(entity)
        found = unlinked_of(ledger, entity)
    if as_json:
        print_json({"unlinked": found})
    else:
        say(*map(told_unlinked, found)) if found else say("no link was ever forgotten")
