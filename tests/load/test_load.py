"""A small sample of `make load`: its stories end well, and figures are figures. `control_room/` measures one sync of a
day."""

from __future__ import annotations

import json

from load.__main__ import UNITS, page
from load.gate import RECORD, SLACK, beyond, figures
from load.samples import Sample
from load.stories import FirstLoad, first_load, growth


def test_a_first_load_keeps_the_budget_and_loses_nobody() -> None:
    loaded = first_load(people=60, scale=60)

    assert loaded.writes >= 60
    assert loaded.refused_429 == 0
    assert loaded.seconds >= (loaded.calls - 60) / 60  # the scaled budget: 60 calls a second
    assert loaded.reads_at_rest < loaded.calls
    assert loaded.memory > 50


def test_growth_is_found_where_there_is_some() -> None:
    def at(memory: float) -> Sample:
        return Sample(1.0, memory, memory, 10, 3, 5, 1.0, 1.0)

    level, leaking = [at(100.0)] * 12, [at(100.0 + 5 * number) for number in range(12)]

    assert growth(level, "memory") == 0
    assert growth(leaking, "memory") > 30
    loaded = FirstLoad(1, 1, 1, 1.0, 1.0, 1.0, 1.0, 0, 1)
    assert len([line for line in page(loaded, 1, level, 12) if line.startswith("| ")]) == len(UNITS) + 3


def test_the_gate_fails_for_each_figure_that_grew_beyond_what_was_recorded() -> None:
    def day_of(**grows: float) -> list[Sample]:
        start = {"seconds": 60.0, "memory": 500.0, "largest_process": 150.0, "handles": 60, "processes": 7}
        start |= {"connections": 4, "ledger": 1000.0, "events": 1000.0}
        return [Sample(**{name: at + grows.get(name, 0) * n for name, at in start.items()}) for n in range(30)]  # type: ignore[arg-type]

    recorded = figures(day_of(ledger=10, events=900), 60)
    assert beyond(figures(day_of(ledger=12, events=1000, memory=1), 60), recorded) == []
    for name in SLACK:
        column = name.removesuffix("_per_sync")
        grown = beyond(figures(day_of(**{"ledger": 10, "events": 900, column: 2000}), 60), recorded)
        assert [line.partition(":")[0] for line in grown] == [name]
    assert beyond(figures(day_of(ledger=99), 400), recorded) == []
    assert "the next is due" in beyond(figures(day_of(seconds=40), 60), recorded)[0]
    assert set(json.loads(RECORD.read_text(encoding="utf-8"))) == {*SLACK, "longest_sync", "people"}
