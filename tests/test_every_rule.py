"""The real command brings SafetyAmp in step: random worlds against the oracle, record by record, and what it costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from oracle import Answer, Memory, differences, work_out
from oracle.answer import business_rules
from oracle.cast import Cast
from oracle.compare import changed_ids, created
from oracle.stories import Run, Story, sync, told_once

from safetyamp_pipelines.sandbox import Sandbox, TargetOptions, WorldSpec

# A readable supervisor costs nothing in a first run; one that cannot be read is written once to be sure.
WORLDS = {
    "sixty": (WorldSpec(seed=2), TargetOptions(calls=100_000, period=1.0)),
    "two hundred": (
        WorldSpec(seed=3, employees=200, jobs=60, vehicles=30),
        TargetOptions(calls=100_000, period=1.0, supervisor_readable=True),
    ),
    "many": (
        WorldSpec(seed=4, employees=150, jobs=40, vehicles=10, present=0.0, mess=False),
        TargetOptions(calls=100_000, period=1.0),
    ),
}

CHANGING = "two hundred"


@dataclass
class Told:
    """A world's story with the answer to each of its runs."""

    name: str
    runs: list[Run]
    answers: list[Answer]


def tell(name: str) -> Story:
    """A first run and a second: with nothing to do, or after the sources and a person changed what they hold."""
    spec, options = WORLDS[name]
    with Sandbox(spec, options) as box:
        rules, story = business_rules(Path(box.environment["SYNC_CONFIG"])), Story()
        answers: list[Answer] = story.about.setdefault("answers", [])
        for number in range(2):
            if number == 1 and name == CHANGING:
                change(box)
            memory = answers[-1].memory if answers else Memory()
            answers.append(work_out(box.world, box.safetyamp.tables(hidden=True), rules, memory))
            story.runs.append(sync(box))
            learn_ids(answers[-1], story.runs[-1])
    return story


def learn_ids(answer: Answer, run: Run) -> None:
    """Put the ids SafetyAmp has chosen for new records into what the next run remembers."""
    ids = {("users", row["emp_id"]): row["id"] for row in run.after["users"]}
    ids |= {("sites", row["ext_id"]): row["id"] for row in run.after["sites"]}
    ids |= {("clusters", row["external_code"]): row["id"] for row in run.after["site_clusters"]}
    ids |= {("assets", row["serial"]): row["id"] for row in run.after["assets"]}
    memory = answer.memory
    kinds = {"clusters": memory.clusters, "sites": memory.sites, "assets": memory.assets, "users": memory.people.links}
    for kind, links in kinds.items():
        for key, token in list(links.items()):
            links[key] = ids.get((kind, token[1])) if isinstance(token, tuple) else token
            if links[key] is None:
                del links[key]


def change(box: Sandbox) -> None:
    """Hires, leavers, moves, a new department and job, and what a person does in SafetyAmp meanwhile."""
    cast = Cast(box)
    box.sources.add_department("88", "Newly founded", "Gulf")
    box.sources.add_job("40001.", "Newly won", "88")
    for name in ("fresh", "young"):
        cast.hire(name, entra={}, job="40001.", udEmpTitle="Newly invented")
    for name in ("leaver", "mover", "edited", "switched", "idle"):
        cast.present(name, lambda user: user["system_access"] and user["emp_id"].isdigit())
    box.sources.terminate(cast.number("leaver"))
    box.sources.move(cast.number("mover"), job="40001.")
    box.safetyamp.edit("users", cast.id("edited"), last_name="Handmade", city="Persontown")
    box.safetyamp.edit("users", cast.id("switched"), system_access=False)
    cluster = next(row for row in box.safetyamp.tables()["site_clusters"] if row["depth"] == 2)
    box.safetyamp.edit("site_clusters", cluster["id"], name="A person's cluster")


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in WORLDS])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    name = request.param
    story = told_once(name.replace(" ", "-"), partial(tell, name), tmp_path_factory)
    return Told(name, story.runs, story.about["answers"])


def test_safetyamp_is_as_the_oracle_says_record_by_record(told: Told) -> None:
    for answer, run in zip(told.answers, told.runs, strict=True):
        assert differences(answer, run.before, run.after) == []


def test_every_source_record_gets_one_verdict_and_the_right_ones_are_refused(told: Told) -> None:
    for answer, run in zip(told.answers, told.runs, strict=True):
        for entity, expected in answer.verdicts.items():
            assert sum(run.report["entities"][entity].values()) == expected.records, entity
            listed = {v: {str(x["key"]) for x in run.report["not_in_step"][entity] if x["verdict"] == v} for v in _BAD}
            assert listed == {v: getattr(expected, v) for v in _BAD}, entity


def test_only_what_differs_is_written_and_only_once(told: Told) -> None:
    for answer, run in zip(told.answers, told.runs, strict=True):
        for table, ids in changed_ids(answer, run.before).items():
            updates = Counter(id_ for id_ in run.written(table) if id_ is not None)
            needless = {id_ for id_ in updates if id_ not in ids} - _supervised_blindly(run)
            new = {row["id"] for row in run.after[table]} - {row["id"] for row in run.before[table]}
            assert (table, needless - new, ids - set(updates)) == (table, set(), set())
            assert set(updates.values()) <= {1}
            refused = len(answer.verdicts["employees"].failed) if table == "users" and run is told.runs[0] else 0
            assert run.written(table).count(None) == created(answer)[table] + refused


def test_calls_are_pages_and_changes_and_nothing_else(told: Told) -> None:
    for run in told.runs:
        unclear = run.unclear_ends if run is told.runs[0] else 0
        assert len(run.requests) == run.report["calls"] == run.report["fewest_calls"]
        assert len(run.requests) - len(run.writes) == run.pages + unclear


def test_each_of_many_people_costs_one_call(told: Told) -> None:
    if told.name != "many":
        pytest.skip("the other worlds have drift, too")
    (answer, _), (run, _) = told.answers, told.runs
    assert created(answer)["users"] == 150
    assert len(run.requests) == run.pages + run.unclear_ends + sum(created(answer).values())


def test_a_run_with_nothing_to_do_writes_nothing(told: Told) -> None:
    if told.name == CHANGING:
        pytest.skip("there is something to do in the second run of this world")
    last = told.runs[-1]
    assert (last.report["writes"], last.writes, last.before) == (0, [], last.after)


def test_the_exit_code_says_whether_something_failed(told: Told) -> None:
    for answer, run in zip(told.answers, told.runs, strict=True):
        failed = any(verdicts.failed for verdicts in answer.verdicts.values())
        assert run.exit_code == run.report["exit_code"] == (1 if failed else 0)


_BAD = ("rejected", "held", "failed")


def _supervised_blindly(run: Run) -> set[str]:
    """Users whose supervisor was written because SafetyAmp does not show it."""
    needed = {"first_name", "last_name", "email"}
    if any("current_supervisor" in user for user in run.before["users"]):
        return set()
    return {w.path.rpartition("/")[2] for w in run.writes if set(w.body) - needed == {"current_supervisor_id"}}
