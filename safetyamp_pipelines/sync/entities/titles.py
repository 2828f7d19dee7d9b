"""The job titles of active employees become user titles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from safetyamp_pipelines.sync.entities.shared import EMPLOYEES, EMPLOYMENT, is_active
from safetyamp_pipelines.sync.model.clean import LOST, restores, text
from safetyamp_pipelines.sync.model.columns import AUDIT, Kind, Schema, columns, keys
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.kinds import EntityRules
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec, Field, MatchKey, Policy, SourceKey
from safetyamp_pipelines.sync.model.tables import Table


class TitlesConfig(EntityRules):
    """Job titles become user titles; there are no settings beyond those of every entity."""


def desire_titles(inputs: Inputs, _rules: TitlesConfig) -> list[Desired]:
    """One record per distinct title; spellings that differ only by case or outer blanks are one title. The most
    frequent spelling stands; the key has none, so that a new favourite is not a new title."""
    spellings: dict[str, Counter[str]] = {}
    rows: dict[str, list[Record]] = {}
    for title, row in _titles(inputs):
        spellings.setdefault(title.casefold(), Counter())[title] += 1
        rows.setdefault(title.casefold(), []).append(row)
    chosen = {folded: min(found, key=lambda t: (-found[t], t)) for folded, found in sorted(spellings.items())}
    there = [row.get("name") for row in inputs.expected["user_titles"].rows.values()]
    return [
        Desired(
            folded, title, {"name": title}, {"name": (title,)}, reasons=_reasons(title, there), rows=tuple(rows[folded])
        )
        for folded, title in chosen.items()
    ]


def _reasons(title: str, there: Iterable[Any]) -> tuple[str, ...]:
    """Why a title is not synced: the one with all its letters is in SafetyAmp."""
    return (f"Title: Viewpoint udEmpTitle {LOST}",) if any(restores(name, title) for name in there) else ()


def _titles(inputs: Inputs) -> Iterator[tuple[str, Record]]:
    """The title of each active employee that has one, with the employee's row."""
    active = is_active(inputs.columns(EMPLOYEES, EMPLOYMENT), inputs.today(EMPLOYEES))
    for row, is_on in zip(inputs.snapshot(EMPLOYEES).records, active, strict=True):
        if is_on and (title := text(row.get("udEmpTitle") or "", "")) is not None:
            yield title, row


def _why_absent(inputs: Inputs, key: str) -> Iterator[str]:
    titles = [SPEC.key.of(row).casefold() for row in inputs.snapshot(EMPLOYEES).records]
    if bearers := titles.count(key.strip().casefold()):
        yield (
            f"title {key} is held by {bearers} employees, and none of them is employed: only the titles of active "
            "employees are synced"
        )


USER_TITLES = Table(
    "user_titles",
    "User titles",
    Schema((*keys(Kind.WHOLE, "id"), *columns(Kind.TEXT, "name")), others=AUDIT),
    lambda row, _tables: text(row.get("name") or "", ""),
    fold_case=True,
    update="PUT",
)

SPEC = EntitySpec(
    name="titles",
    target=USER_TITLES,
    title="User titles from job titles",
    description="The distinct job titles of active employees, compared without regard to case.",
    sources=(EMPLOYEES,),
    observed=("user_titles",),
    after=(),
    fields=(
        Field(
            "name",
            "Title",
            (f"{EMPLOYEES}.udEmpTitle",),
            "name",
            required=True,
            fold_case=True,
            policy=Policy.INITIAL,
        ),
    ),
    match=(MatchKey("name", "name", fold_case=True),),
    key=SourceKey(EMPLOYEES, "udEmpTitle"),
    rules=TitlesConfig,
    desire=desire_titles,
    records=lambda inputs: {(None, title.casefold()) for title, _ in _titles(inputs)},
    why_absent=_why_absent,
)
