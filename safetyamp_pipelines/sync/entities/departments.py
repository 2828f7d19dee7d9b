"""Departments become site clusters: root → region → department."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.mapping import map_fields
from safetyamp_pipelines.sync.model.spec import Collision, Desired, EntitySpec, Field, MatchKey, Policy
from safetyamp_pipelines.sync.rules.config import SyncConfig

SOURCE = "viewpoint/departments"
_REGION_TAKEN = "the region is named like the root cluster or a department code: rename it in Viewpoint udRegion"


def desire_departments(inputs: Inputs, config: SyncConfig) -> list[Desired]:
    """One record per department row, and one per region they name; the regions come first."""
    frame = inputs.frame(SOURCE, ("PRCo", "PRDept", "Description", "udRegion"))
    company = frame[f"{SOURCE}.PRCo"]
    code = frame[f"{SOURCE}.PRDept"].map(lambda value: _trimmed(value) or "")
    frame["rule.region"] = _one_spelling(frame[f"{SOURCE}.udRegion"].map(_trimmed))
    frame["rule.code"] = code
    frame["rule.name"] = [_name(c, _trimmed(d)) for c, d in zip(code, frame[f"{SOURCE}.Description"], strict=True)]
    frame["sync.yaml.departments.osha_establishment"] = config.departments.osha_establishment
    mapped = map_fields(frame, FIELDS)
    first_company = _first_company(company, code, config.companies)
    root = _root(inputs, config)
    taken = {root.casefold(), *code.map(str.casefold)}
    region = [str(values["parent_cluster_id"]) for values in mapped.values]
    mine = [company[row] == first_company[code[row]] for row in frame.index]
    departments = [
        Desired(
            source_key=code[row] if mine[row] else f"{company[row]}/{code[row]}",
            natural_key=code[row],
            values=mapped.values[row],
            match={"code": (code[row],), "name": (frame["rule.name"][row],)} if mine[row] else {},
            reasons=(
                *mapped.reasons[row],
                *_clash(company[row], code[row], first_company),
                *((_REGION_TAKEN,) if region[row].casefold() in taken else ()),
            ),
            notes=tuple(mapped.notes[row]),
        )
        for row in frame.index
    ]
    return [*_regions(departments, root, config), *departments]


def _regions(departments: list[Desired], root: str, config: SyncConfig) -> list[Desired]:
    """Regions that at least one department needs; a region is only a name in the department's row."""
    wanted = {str(d.values["parent_cluster_id"]) for d in departments if not d.reasons}
    return [
        Desired(
            source_key=f"region {region}",
            natural_key=region,
            values={
                "external_code": region,
                "name": region,
                "parent_cluster_id": root,
                "osha_establishment": config.departments.osha_establishment,
            },
            match={"code": (region,), "name": (region,)},
        )
        for region in sorted(wanted)
    ]


def _root(inputs: Inputs, config: SyncConfig) -> str:
    """The natural key of the root cluster: found by the configured name, else the only root there is."""
    clusters = inputs.expected["site_clusters"]
    roots = {row_id: row for row_id, row in clusters.rows.items() if row.get("parent_cluster_id") is None}
    name = config.departments.root_cluster
    if name is not None:
        roots = {row_id: row for row_id, row in roots.items() if str(row.get("name")).strip() == name.strip()}
    if len(roots) != 1:
        sought = f"a root site cluster named {name!r}" if name else "exactly one root site cluster"
        raise PlanRefused(
            f"SafetyAmp must have {sought}, and {len(roots)} were found: "
            "set departments.root_cluster in sync.yaml to the root's name (it cannot be created by the API)"
        )
    return str(clusters.key_of(next(iter(roots))))


def _records(inputs: Inputs) -> list[tuple[object, str]]:
    """Every department row; the regions they name have verdicts of their own on top."""
    return [(row["PRCo"], _trimmed(row["PRDept"]) or "") for row in inputs.snapshot(SOURCE).records]


def _trimmed(value: object) -> str | None:
    return (str(value).strip() or None) if value is not None else None


def _name(code: str | None, description: str | None) -> str | None:
    return f"{code} - {description}" if description else code


def _one_spelling(names: pd.Series) -> pd.Series:
    """Spellings that differ only by case are one region: the most frequent one, then the first by alphabet."""
    spellings: dict[str, Counter[str]] = {}
    for name in names.dropna():
        spellings.setdefault(name.casefold(), Counter())[name] += 1
    chosen = {folded: min(found, key=lambda n: (-found[n], n)) for folded, found in spellings.items()}
    return pd.Series([chosen[n.casefold()] if isinstance(n, str) else None for n in names], dtype=object)


def _first_company(company: pd.Series, code: pd.Series, companies: tuple[int, ...]) -> dict[str, int]:
    """The company whose department keeps a code that several companies use: the first in sync.yaml."""
    first: dict[str, int] = {}
    for co, dept in zip(company, code, strict=True):
        best = first.get(dept)
        if best is None or companies.index(co) < companies.index(best):
            first[dept] = co
    return first


def _clash(company: int, code: str, first_company: dict[str, int]) -> tuple[str, ...]:
    if company == first_company[code]:
        return ()
    return (f"department code {code} belongs to company {first_company[code]} already: give it a code of its own",)


FIELDS = (
    Field(
        "external_code",
        "Cluster code",
        ("rule.code",),
        "external_code",
        required=True,
        unique=Collision.REJECT,
        fold_case=True,
    ),
    Field("name", "Name", ("rule.name",), "name", required=True),
    Field(
        "parent_cluster_id",
        "Region",
        ("rule.region", f"{SOURCE}.udRegion"),
        "parent_cluster_id",
        required=True,
        references="site_clusters",
    ),
    Field(
        "osha_establishment",
        "OSHA establishment",
        ("sync.yaml.departments.osha_establishment",),
        "osha_establishment",
        clean="as_is",
        policy=Policy.INITIAL,
    ),
)

SPEC = EntitySpec(
    name="departments",
    table="site_clusters",
    title="Site clusters from departments",
    description="Viewpoint departments, each under its region, as SafetyAmp site clusters.",
    sources=(SOURCE,),
    observed=("site_clusters",),
    after=(),
    fields=FIELDS,
    match=(
        MatchKey("code", "external_code", fold_case=True),
        MatchKey("name", "name", fold_case=True, owner="external_code"),
    ),
    desire=desire_departments,
    records=_records,
    place="parent_cluster_id",
    always=("name", "parent_cluster_id", "osha_establishment"),
    policies=lambda config: config.departments.policies,
)
