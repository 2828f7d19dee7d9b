"""Departments become site clusters: root → region → department."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field as Setting

from safetyamp_pipelines.sync.entities.shared import owners
from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.columns import AUDIT, Kind, Schema, columns, keys
from safetyamp_pipelines.sync.model.errors import PlanRefused
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.kinds import EntityRules, Text
from safetyamp_pipelines.sync.model.mapping import MappedRow, map_fields
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import Collision, Desired, EntitySpec, Field, MatchKey, Policy, SourceKey
from safetyamp_pipelines.sync.model.tables import Table, TargetTable

SOURCE = "viewpoint/departments"
KEY = SourceKey(SOURCE, "PRDept", company="PRCo", department="PRDept")
_REGION_TAKEN = "the region is named like the root cluster or a department code: rename it in Viewpoint udRegion"


class DepartmentsConfig(EntityRules):
    """Departments become site clusters."""

    root_cluster: Text | None = Setting(
        default=None, description="Name of the root site cluster in SafetyAmp; null takes the only root there is."
    )
    osha_establishment: Literal[0, 1] = Setting(default=0, description="OSHA flag of new clusters, 0 or 1.")


def desire_departments(inputs: Inputs, rules: DepartmentsConfig) -> list[Desired]:
    """One record per department row, and one per region they name; the regions come first."""
    rows = inputs.snapshot(SOURCE).records
    codes, companies = [KEY.of(row) for row in rows], [row["PRCo"] for row in rows]
    names = [_name(code, _text(row.get("Description"))) for code, row in zip(codes, rows, strict=True)]
    mapped = map_fields(
        {
            **inputs.columns(SOURCE, ("PRCo", "PRDept", "Description", "udRegion")),
            "rule.region": _one_spelling([_text(row.get("udRegion")) for row in rows]),
            "rule.code": codes,
            "rule.name": names,
            "sync.yaml.departments.osha_establishment": [rules.osha_establishment] * len(rows),
        },
        FIELDS,
    )
    owner = owners(((code, company, True) for code, company in zip(codes, companies, strict=True)), inputs.companies)
    roots = {one: _root(inputs, inputs.rules_of(one).root_cluster or rules.root_cluster) for one in inputs.companies}
    taken = {*map(str.casefold, roots.values()), *map(str.casefold, codes)}
    under = _roots_of_regions(mapped, [roots[company] for company in companies], inputs, companies)
    departments = []
    for row, code, company, name, found in zip(rows, codes, companies, names, mapped, strict=True):
        mine = owner[code] == company
        if not mine:
            whose = f"department code {code} belongs to company {owner[code]} already"
            found.reasons.append(f"{whose}: give it a code of its own")
        if str(found.values["parent_cluster_id"]).casefold() in taken:
            found.reasons.append(_REGION_TAKEN)
        if under.get(found.values["parent_cluster_id"], roots[company]) != roots[company]:
            found.reasons.append("the region is another company's, under another root cluster: rename it in Viewpoint")
        departments.append(
            found.desired(
                code if mine else f"{company}/{code}",
                code,
                match={"code": (code,), "name": (name,)} if mine else {},
                rows=(row,),
            )
        )
    return [*_regions(departments, under, rules), *departments]


def _roots_of_regions(
    mapped: Sequence[MappedRow], roots: Sequence[str], inputs: Inputs, companies: Sequence[int]
) -> dict[Any, str]:
    """Region → the root cluster under which it stands: that of the first company, in the order of sync.yaml."""
    order = sorted(range(len(mapped)), key=lambda place: inputs.companies.index(companies[place]), reverse=True)
    return {mapped[place].values["parent_cluster_id"]: roots[place] for place in order}


def _regions(departments: list[Desired], under: Mapping[Any, str], rules: DepartmentsConfig) -> list[Desired]:
    """Regions that at least one department needs; a region is only a name in the department's row."""
    wanted: dict[str, list[Record]] = {}
    for department in departments:
        if not department.reasons:
            wanted.setdefault(str(department.values["parent_cluster_id"]), []).extend(department.rows)
    return [
        Desired(
            source_key=f"region {region}",
            natural_key=region,
            values={
                "external_code": region,
                "name": region,
                "parent_cluster_id": under[region],
                "osha_establishment": rules.osha_establishment,
            },
            match={"code": (region,), "name": (region,)},
            rows=tuple(wanted[region]),
        )
        for region in sorted(wanted)
    ]


def _root(inputs: Inputs, name: str | None) -> str:
    """The natural key of the root cluster: found by the configured name, else the only root there is."""
    clusters = inputs.expected["site_clusters"]
    roots = {row_id: row for row_id, row in clusters.rows.items() if row.get("parent_cluster_id") is None}
    if name is not None:
        roots = {row_id: row for row_id, row in roots.items() if str(row.get("name")).strip() == name.strip()}
    if len(roots) != 1:
        sought = f"a root site cluster named {name!r}" if name else "exactly one root site cluster"
        raise PlanRefused(
            f"SafetyAmp must have {sought}, and {len(roots)} were found: "
            "set departments.root_cluster in sync.yaml to the root's name (it cannot be created by the API)"
        )
    return str(clusters.key_of(next(iter(roots))))


def _text(value: object) -> str | None:
    return clean.text(value, "") if value is not None else None


def _name(code: str, description: str | None) -> str:
    return f"{code} - {description}" if description else code


def _one_spelling(names: list[str | None]) -> list[str | None]:
    """Spellings that differ only by case are one region: the most frequent one, then the first by alphabet."""
    spellings: dict[str, Counter[str]] = {}
    for name in filter(None, names):
        spellings.setdefault(name.casefold(), Counter())[name] += 1
    chosen = {folded: min(found, key=lambda n: (-found[n], n)) for folded, found in spellings.items()}
    return [chosen[name.casefold()] if name is not None else None for name in names]


def _cluster_key(row: Record, _tables: Mapping[str, TargetTable]) -> str | None:
    return clean.text(row.get("external_code") or row.get("name") or "", "")


SITE_CLUSTERS = Table(
    "site_clusters",
    "Site clusters, the tree of root, regions and departments,",
    Schema(
        (
            *keys(Kind.WHOLE, "id"),
            *columns(Kind.TEXT, "name external_code"),
            *columns(Kind.WHOLE, "parent_cluster_id"),
            *columns(Kind.FLAG, "osha_establishment"),
        ),
        others=f"path depth {AUDIT}",
    ),
    _cluster_key,
    fold_case=True,
    code="external_code",
    update="PUT",
    always=("name", "parent_cluster_id", "osha_establishment"),
)

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
    target=SITE_CLUSTERS,
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
    key=KEY,
    rules=DepartmentsConfig,
    desire=desire_departments,
    words={
        "rule.code": "the department's code, or the name of the region",
        "rule.name": "code and description, or the name of the region",
        "rule.region": "the region of the department, and the root for a region",
    },
    place="parent_cluster_id",
)
