"""The command `compare`: what another plan, other rules or another release would do differently."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safetyamp_pipelines.cli.shell import LARGEST, AsJson, print_json, print_lines, with_ledger
from safetyamp_pipelines.operations.plan_difference import render, replanned, stored_plans
from safetyamp_pipelines.settings.model import read_sync_config
from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.systems.snapshots.store import snapshot_store

DIFFERENT = 1


def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="PLAN PLAN | [ENTITY]…", help="Two hashes of stored plans; or entities to plan again."),
    ] = None,
    rules: Annotated[Path | None, typer.Option("--rules", help="A sync.yaml to compare with today's.")] = None,
    last: Annotated[int, typer.Option(min=1, max=LARGEST, help="How many of the last runs to plan again.")] = 1,
    values: Annotated[bool, typer.Option("--values", help="Show values: personal data.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what two plans would do differently, record by record. Exit code 1: they differ.

    Without two plans, the last runs are planned again from their own snapshots, by this release, and compared with
    --rules if given, else with the plans that were made then.
    """
    given, documents, exit_code = names or [], [], 0
    # A canary looks at the ledger of the release that is still at work.
    with with_ledger(as_json, empty={"comparisons": []}, migrates=False) as (ledger, settings):
        store = snapshot_store(settings)
        if set(given) <= set(BY_NAME):
            new = None if rules is None else read_sync_config(rules)
            found = replanned(store, ledger, settings.sync_config(), new_config=new, entities=given, runs=last)
        elif len(given) == 2 and rules is None:
            found = iter([stored_plans(store, *given)])
        else:
            raise Refusal("give two hashes of stored plans, or entities; --rules goes with entities")
        # One run's plans at a time are in memory, however many are compared.
        for one in found:
            exit_code = DIFFERENT if one.differences else exit_code
            if as_json:
                documents.append(one.document(values=values))
            else:
                print_lines(*render(one, values=values))
    if as_json:
        print_json({"comparisons": documents})
    raise typer.Exit(exit_code)
