"""Open jobs become sites, each under its contract's department."""

from __future__ import annotations

import pandas as pd

from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.mapping import Mapped, map_fields
from safetyamp_pipelines.sync.model.spec import Collision, Desired, EntitySpec, Field, MatchKey, Policy, Scope
from safetyamp_pipelines.sync.rules.config import SyncConfig

SOURCE = "viewpoint/jobs"
COLUMNS = (
    "JCCo",
    "Job",
    "Description",
    "JobStatus",
    "PCVisibleInJC",
    "Department",
    "ShipAddress",
    "ShipAddress2",
    "ShipCity",
    "ShipState",
    "ShipZip",
    "ShipCountry",
)


def desire_jobs(inputs: Inputs, config: SyncConfig) -> list[Desired]:
    """One record per job. Only open jobs are kept in step; a job that closes is reported, its site stays."""
    frame = inputs.frame(SOURCE, COLUMNS)
    key = frame[f"{SOURCE}.Job"].map(lambda value: str(value).rstrip())
    frame["rule.name"] = [_name(k, d) for k, d in zip(key, frame[f"{SOURCE}.Description"], strict=True)]
    frame[f"{SOURCE}.Department.why"] = "Department is missing: give the job's contract a department in Viewpoint"
    for option in ("timezone", "country", "default_state"):
        frame[f"sync.yaml.jobs.{option}"] = pd.Series([getattr(config.jobs, option)] * len(frame), dtype=object)
    mapped = map_fields(frame, FIELDS)
    scopes = [
        _scope(status, visible, config.jobs.open_statuses)
        for status, visible in zip(frame[f"{SOURCE}.JobStatus"], frame[f"{SOURCE}.PCVisibleInJC"], strict=True)
    ]
    owner = _owning_company(frame, key, scopes, config.companies)
    return [_desired(row, key[row], frame, mapped, scopes[row], owner) for row in frame.index]


def _desired(
    row: int,
    key: str,
    frame: pd.DataFrame,
    mapped: Mapped,
    scope: tuple[Scope, str],
    owner: dict[str, int],
) -> Desired:
    company = frame[f"{SOURCE}.JCCo"][row]
    mine = owner[key] == company
    clash = () if mine else (f"company {owner[key]} has a job with the same number: a site code must be unique",)
    return Desired(
        source_key=key if mine else f"{company}/{key}",
        natural_key=key,
        values=mapped.values[row],
        match={"site code": (key,), "name": (frame["rule.name"][row],)} if mine else {},
        scope=scope[0],
        rule=scope[1],
        reasons=(*mapped.reasons[row], *clash),
        notes=tuple(mapped.notes[row]),
        stand_ins=frozenset(mapped.stand_ins[row]),
    )


def _name(key: str, description: object) -> str:
    trimmed = str(description).strip() if description is not None else ""
    return f"{key} - {trimmed}" if trimmed else key


def _scope(status: object, visible: object, open_statuses: tuple[int, ...]) -> tuple[Scope, str]:
    """Whether a job is open for work; `PCVisibleInJC` other than Y marks a potential project."""
    if visible is not None and str(visible).strip().upper() not in ("", "Y"):
        return Scope.OUT, "a potential project, not yet a job"
    if status not in open_statuses:
        names = {0: "pending", 2: "soft closed", 3: "hard closed"}
        return Scope.OUT, f"the job is {names.get(status, f'in status {status}')}; its site, if any, stays"  # type: ignore[call-overload]
    return Scope.ACTIVE, ""


def _owning_company(
    frame: pd.DataFrame, key: pd.Series, scopes: list[tuple[Scope, str]], companies: tuple[int, ...]
) -> dict[str, int]:
    """The company whose job keeps a number that several have: an open job first, then the order of sync.yaml."""
    rank: dict[str, tuple[bool, int]] = {}
    for job, company, (scope, _) in zip(key, frame[f"{SOURCE}.JCCo"], scopes, strict=True):
        mine = (scope is not Scope.ACTIVE, companies.index(company))
        rank[job] = min(rank.get(job, mine), mine)
    return {job: companies[index] for job, (_, index) in rank.items()}


def _records(inputs: Inputs) -> list[tuple[object, str]]:
    """Every job row, open or not."""
    return [(row["JCCo"], str(row["Job"]).rstrip()) for row in inputs.snapshot(SOURCE).records]


FIELDS = (
    Field("ext_id", "Site code", (f"{SOURCE}.Job",), "ext_id", clean="key", required=True, unique=Collision.REJECT),
    Field("name", "Name", ("rule.name",), "name", required=True),
    Field(
        "cluster_id",
        "Department",
        (f"{SOURCE}.Department",),
        "cluster_id",
        required=True,
        references="site_clusters",
    ),
    Field("street", "Street", (f"{SOURCE}.ShipAddress",), "street"),
    Field("street2", "Street, second line", (f"{SOURCE}.ShipAddress2",), "street2"),
    Field("city", "City", (f"{SOURCE}.ShipCity",), "city"),
    Field("state", "State", (f"{SOURCE}.ShipState", "sync.yaml.jobs.default_state"), "state", clean="state"),
    Field("zip_code", "Zip code", (f"{SOURCE}.ShipZip",), "zip_code", clean="zip_code"),
    Field("country", "Country", (f"{SOURCE}.ShipCountry", "sync.yaml.jobs.country"), "country"),
    Field("timezone", "Time zone", ("sync.yaml.jobs.timezone",), "timezone", policy=Policy.INITIAL),
)

SPEC = EntitySpec(
    name="jobs",
    table="sites",
    title="Sites from jobs",
    description="Open Viewpoint jobs as SafetyAmp sites, under the cluster of their contract's department.",
    sources=(SOURCE,),
    observed=("site_clusters", "sites"),
    after=("departments",),
    fields=FIELDS,
    match=(MatchKey("site code", "ext_id"), MatchKey("name", "name", owner="ext_id")),
    desire=desire_jobs,
    records=_records,
    place="cluster_id",
    policies=lambda config: config.jobs.policies,
)
