"""Do the verdicts add up? Counts the records of the snapshots anew, without the planner, against its verdicts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Verdict
from safetyamp_pipelines.sync.model.spec import EntitySpec


@dataclass(frozen=True)
class Account:
    """How many source records must end in a verdict, and the keys that have none, or more verdicts than records."""

    records: int
    astray: tuple[str, ...]


def account_of(spec: EntitySpec, inputs: Inputs, verdicts: Iterable[Verdict]) -> Account:
    """Count the entity's source records and look for the verdict of each.

    A record's verdict bears its key, or `company/key` where several companies use the key. Verdicts of what is no
    record of its own come on top: a region that departments name, a vehicle that vanished.
    """
    wanted: Counter[str] = Counter()
    names: dict[str, set[str]] = defaultdict(set)
    for company, key in spec.records(inputs):
        wanted[key] += 1
        names[key] |= {key, f"{company}/{key}"}
    given = Counter(verdict.source_key for verdict in verdicts)
    astray = sorted(key for key, number in wanted.items() if sum(given[name] for name in names[key]) != number)
    return Account(wanted.total(), tuple(astray))
