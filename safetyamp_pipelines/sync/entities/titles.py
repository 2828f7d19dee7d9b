"""The job titles of active employees become user titles."""

from __future__ import annotations

from collections import Counter

from safetyamp_pipelines.sync.entities import shared as employment
from safetyamp_pipelines.sync.model.clean import text
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec, Field, MatchKey, Policy
from safetyamp_pipelines.sync.rules.config import SyncConfig

SOURCE = employment.SOURCE


def desire_titles(inputs: Inputs, _config: SyncConfig) -> list[Desired]:
    """One record per distinct title; spellings that differ only by case or outer blanks are one title."""
    frame = inputs.frame(SOURCE, (*employment.COLUMNS, "udEmpTitle"))
    active = employment.is_active(frame, inputs.today(SOURCE))
    spellings: dict[str, Counter[str]] = {}
    for raw in frame.loc[active, f"{SOURCE}.udEmpTitle"].dropna():
        title = text(raw, "")
        if title is not None:
            spellings.setdefault(title.casefold(), Counter())[title] += 1
    return [_desired(folded, min(found, key=lambda t: (-found[t], t))) for folded, found in sorted(spellings.items())]


def _desired(folded: str, title: str) -> Desired:
    """The most frequent spelling stands; the key has none, so that a new favourite is not a new title."""
    return Desired(source_key=folded, natural_key=title, values={"name": title}, match={"name": (title,)})


def _records(inputs: Inputs) -> set[tuple[object, str]]:
    """Every title that an active employee bears, once."""
    rows, today = inputs.snapshot(SOURCE).records, inputs.today(SOURCE)
    active = employment.is_active(inputs.frame(SOURCE, employment.COLUMNS), today)
    borne = (text(row.get("udEmpTitle") or "", "") for row, is_on in zip(rows, active, strict=True) if is_on)
    return {(None, title.casefold()) for title in borne if title is not None}


SPEC = EntitySpec(
    name="titles",
    table="user_titles",
    title="User titles from job titles",
    description="The distinct job titles of active employees, compared without regard to case.",
    sources=(SOURCE,),
    observed=("user_titles",),
    after=(),
    fields=(
        Field(
            "name",
            "Title",
            (f"{SOURCE}.udEmpTitle",),
            "name",
            required=True,
            fold_case=True,
            policy=Policy.INITIAL,
        ),
    ),
    match=(MatchKey("name", "name", fold_case=True),),
    desire=desire_titles,
    records=_records,
    policies=lambda config: config.titles.policies,
)
