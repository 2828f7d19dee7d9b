"""Looking for one record among the rows with its key finds what mapping every row would have found."""

from __future__ import annotations

from hypothesis import given, settings
from random_worlds import worlds
from small_worlds import OBSERVED, World, config, observed_in, plan_all, snapshot

from safetyamp_pipelines.operations.explain.explain import found_by_key
from safetyamp_pipelines.operations.plan_step import Stored
from safetyamp_pipelines.sync.entities.registry import BY_NAME, references
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Plan
from safetyamp_pipelines.sync.model.remembered import Memory
from safetyamp_pipelines.sync.planning.expected import expected_references

RULES = config(companies=[1, 2], vehicles={"default_site": "YARD"})


@settings(max_examples=30, deadline=None)
@given(worlds())
def test_every_record_is_found_by_its_key_as_it_is_mapped(world: World) -> None:
    plans = plan_all(world, RULES)
    for entity in plans:
        stored = stored_of(entity, world, plans)
        for record in stored.desired:
            assert found_by_key(stored, record.source_key) == record
            lower = found_by_key(stored, f" {record.source_key.casefold()} ")
            assert lower is not None
            assert lower.source_key.casefold() == record.source_key.casefold()


def stored_of(entity: str, world: World, plans: dict[str, Plan]) -> Stored:
    spec = BY_NAME[entity]
    names = [*spec.sources, *(OBSERVED + table for table in spec.observed)]
    snapshots = {name: snapshot(name, world.get(name.removeprefix(OBSERVED), ())) for name in names}
    shown, after = references(observed_in(world)), [(BY_NAME[name], plans[name]) for name in spec.after]
    inputs = Inputs(snapshots, expected_references(observed_in(world), after), Memory(), RULES)
    return Stored(spec, RULES, "run", plans[entity], snapshots, inputs, shown)
