"""The scenario: one clean world in which every rule has its own people, jobs and vehicles; four runs."""

from __future__ import annotations

from pathlib import Path

import yaml

from oracle import scenario_people, scenario_places, scenario_vehicles
from oracle.cast import Cast
from oracle.stories import Story, sync
from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec

SPEC = WorldSpec(seed=21, employees=70, jobs=30, vehicles=8, present=0.9, mess=False)
POLICIES = {"city": "initial", "work_phone": "fill", "street": "merge"}


def tell() -> Story:
    """A first run, one after changes, one after some came back, and one with nothing to do."""
    options = TargetOptions(calls=100_000, period=1.0, trims_text=False, ignored_fields={"users": ("middle_name",)})
    with Sandbox(SPEC, options) as box:
        rules = Path(box.environment["SYNC_CONFIG"])
        text = rules.read_text(encoding="utf-8")
        rules.write_text(text + yaml.safe_dump({"employees": {"policies": POLICIES}}), encoding="utf-8")
        cast, story = Cast(box), Story()
        for part in (scenario_places, scenario_people, scenario_vehicles):
            part.before_first(cast)
        story.runs.append(sync(box))
        for part in (scenario_places, scenario_people, scenario_vehicles):
            part.before_second(cast)
        story.runs.append(sync(box))
        scenario_people.before_third(cast)
        story.runs += [sync(box), sync(box)]
        story.about = cast.about
    return story
