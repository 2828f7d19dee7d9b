"""The command `explain`, from the ledger and the stored snapshots. The work: `operations/explain/`."""

from __future__ import annotations

from typing import Annotated

import typer

from safetyamp_pipelines.cli.shell import LARGEST, AsJson, Key, respond, with_ledger
from safetyamp_pipelines.operations.explain.explain import explain_record
from safetyamp_pipelines.operations.explain.lines import render_explanation
from safetyamp_pipelines.systems.snapshots.store import snapshot_store


def explain(
    noun: Annotated[str, typer.Argument(help="department, job, title, employee or vehicle.")],
    key: Key,
    runs: Annotated[int, typer.Option(min=1, max=LARGEST, help="How many runs back.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Why a record looks as it does in SafetyAmp, or why it is not there. Asks no system; shows personal data."""
    with with_ledger(as_json) as (ledger, settings):
        found = explain_record(noun, key, ledger, snapshot_store(settings), settings.sync_config(), runs)
    respond(as_json, found, render_explanation(found))
