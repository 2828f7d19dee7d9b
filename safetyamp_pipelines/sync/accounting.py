"""Do the verdicts add up? Counts the records of the snapshots anew, without the planner, against its verdicts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from safetyamp_pipelines.sync.inputs import Inputs
from safetyamp_pipelines.sync.plan import Verdict
from safetyamp_pipelines.sync.spec import EntitySpec


def unaccounted(spec: EntitySpec, inputs: Inputs, verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """Keys of source records that have no verdict, or more verdicts than records; empty when everything adds up.

    A record's verdict bears its key, or `company/key` where several companies use the key. Verdicts of what is no
    record of its own come on top: a region that departments name, a vehicle that vanished.
    """
    wanted: Counter[str] = Counter()
    names: dict[str, set[str]] = defaultdict(set)
    for company, key in spec.records(inputs):
        wanted[key] += 1
        names[key] |= {key, f"{company}/{key}"}
    given = Counter(verdict.source_key for verdict in verdicts)
    return tuple(sorted(key for key, number in wanted.items() if sum(given[name] for name in names[key]) != number))
