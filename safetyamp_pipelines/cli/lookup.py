"""The command `explain`, from the ledger and the stored snapshots. The work: `operations/explain/`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from safetyamp_pipelines.cli.shell import LARGEST, AsJson, respond, with_ledger
from safetyamp_pipelines.ledger.ledger import Ledger
from safetyamp_pipelines.operations.explain.explain import explain_stored, found_by_key
from safetyamp_pipelines.operations.explain.lines import render_explanation
from safetyamp_pipelines.operations.explain.search import Hit, names_of, search
from safetyamp_pipelines.operations.plan_step import Stored, load_stored
from safetyamp_pipelines.settings.model import Settings
from safetyamp_pipelines.sync.entities.registry import BY_NAME, ENTITIES
from safetyamp_pipelines.sync.model.errors import Refusal, SnapshotError
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.model.text import displayed
from safetyamp_pipelines.systems.snapshots.store import snapshot_store


def explain(
    what: Annotated[
        list[str], typer.Argument(help="department, job, title, employee or vehicle, and its key; or a name or e-mail.")
    ],
    runs: Annotated[int, typer.Option(min=1, max=LARGEST, help="How many runs back.")] = 10,
    every: Annotated[bool, typer.Option("--all", help="All fields, also those that do not differ.")] = False,
    as_json: AsJson = False,
) -> None:
    """Explain why a record looks as it does in SafetyAmp, or is missing there. Calls no system; shows personal data."""
    with with_ledger(as_json) as (ledger, settings):
        stored, key = _matching(what, ledger, settings)
        found: dict[str, Any] = explain_stored(stored, key, ledger, runs)
        name, timezone = names_of(stored).get(found["key"], ""), settings.sync_config().schedule.timezone
    respond(as_json, found, render_explanation(found, timezone, name=name, every=every))


def _matching(what: list[str], ledger: Ledger, settings: Settings) -> tuple[Stored, str]:
    """The entity and key that the words mean: a noun and a key, or whatever else a record is known by."""
    named = [spec for spec in ENTITIES if len(what) > 1 and what[0].casefold() in (spec.noun, spec.name)]
    text = " ".join(what[1:] if named else what).strip()
    if not text:
        raise Refusal("a key is needed, as in `safetyamp explain employee 100482`")
    stored = _stored(named or ENTITIES, ledger, settings)
    one = next(iter(stored.values()))
    if named and (text.isdigit() or found_by_key(one, text) is not None):
        return one, text
    hits = search(stored, text)
    closest = [hit for hit in hits if hit.rank == hits[0].rank and hit.key]
    if len(closest) == 1:
        return stored[closest[0].entity], closest[0].key
    if hits:
        raise Refusal("several records match that. Name one:\n" + "\n".join(map(_choice, hits)))
    if named:
        return one, text
    nouns = ", ".join(spec.noun for spec in ENTITIES)
    raise Refusal(f"no record is found by {text!r}, in no source and not in SafetyAmp. A key needs its noun: {nouns}")


def _stored(specs: Sequence[EntitySpec], ledger: Ledger, settings: Settings) -> dict[str, Stored]:
    """What the newest run left of each, by entity. Raises SnapshotError when there is nothing of any."""
    store, config, found = snapshot_store(settings), settings.sync_config(), {}
    missing = SnapshotError("nothing is stored: run `safetyamp plan` first")
    for spec in specs:
        try:
            found[spec.name] = load_stored(spec, store, ledger, config)
        except SnapshotError as error:
            missing = error
    if not found:
        raise missing
    return found


def _choice(hit: Hit) -> str:
    noun = BY_NAME[hit.entity].noun
    if not hit.key:
        return displayed(f"  {noun} {hit.target_id}, only in SafetyAmp: {hit.name}")
    return displayed(f"  safetyamp explain {noun} {hit.key!r}  {hit.name} ({hit.matched})")
