"""Open jobs become sites, each under its contract's department."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field as Setting

from safetyamp_pipelines.sync.entities.shared import owners
from safetyamp_pipelines.sync.model.clean import key as cleaned_key
from safetyamp_pipelines.sync.model.clean import text
from safetyamp_pipelines.sync.model.columns import ADDRESS, AUDIT, Kind, Schema, columns, keys
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.kinds import Codes, CountryHere, EntityRules, StateHere, TimeZoneHere
from safetyamp_pipelines.sync.model.mapping import map_fields
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import (
    Collision,
    Desired,
    EntitySpec,
    Field,
    MatchKey,
    Policy,
    Scope,
    SourceKey,
)
from safetyamp_pipelines.sync.model.tables import Table, TargetTable

SOURCE = "viewpoint/jobs"
KEY = SourceKey(SOURCE, "Job", clean="key", company="JCCo", others=("Description",), department="Department")
ADDRESS_COLUMNS = ("ShipAddress", "ShipAddress2", "ShipCity", "ShipState", "ShipZip", "ShipCountry")


class JobsConfig(EntityRules):
    """Jobs become sites."""

    open_statuses: Codes = Setting(
        default=(1,), description="JobStatus values of an open job: 0 pending, 1 open, 2 and 3 closed."
    )
    timezone: TimeZoneHere = "America/Chicago"
    country: CountryHere = "US"
    default_state: StateHere = None


def desire_jobs(inputs: Inputs, rules: JobsConfig) -> list[Desired]:
    """One record per job. Only open jobs are kept in step; a job that closes is reported, its site stays."""
    rows = inputs.snapshot(SOURCE).records
    companies = [row["JCCo"] for row in rows]
    prefixes = [inputs.rules_of(company).job_prefix or "" for company in companies]
    numbers = [f"{prefix}{KEY.of(row)}" for prefix, row in zip(prefixes, rows, strict=True)]
    names = [_name(number, row.get("Description")) for number, row in zip(numbers, rows, strict=True)]
    why = "Department is missing: give the job's contract a department in Viewpoint"
    mapped = map_fields(
        {
            **inputs.columns(SOURCE, ("Job", "Department", *ADDRESS_COLUMNS)),
            f"{SOURCE}.Job": numbers,
            "rule.name": names,
            f"{SOURCE}.Department.why": [why] * len(rows),
            "sync.yaml.jobs.timezone": [inputs.rules_of(company).timezone or rules.timezone for company in companies],
            "sync.yaml.jobs.country": [rules.country] * len(rows),
            "sync.yaml.jobs.default_state": [rules.default_state] * len(rows),
        },
        FIELDS,
        unknown=SPEC.unknown(inputs.unread),
    )
    scopes = [_scope(row.get("JobStatus"), row.get("PCVisibleInJC"), rules.open_statuses) for row in rows]
    claims = ((n, c, s[0] is Scope.ACTIVE) for n, c, s in zip(numbers, companies, scopes, strict=True))
    owner = owners(claims, inputs.companies)
    desired = []
    for row, prefix, number, company, name, (scope, rule), found in zip(
        rows, prefixes, numbers, companies, names, scopes, mapped, strict=True
    ):
        mine = owner[number] == company
        if not mine:
            clash = f"company {owner[number]} has a job with the same number: a site code must be unique"
            found.reasons.append(clash)
        desired.append(
            found.desired(
                number if mine and not prefix else f"{company}/{KEY.of(row)}",
                number,
                match={"site code": (number,), "name": (name,)} if mine else {},
                scope=scope,
                rule=rule,
                rows=(row,),
            )
        )
    return desired


def _name(number: str, description: object) -> str:
    trimmed = text(description, "") if description is not None else None
    return f"{number} - {trimmed}" if trimmed else number


def _scope(status: object, visible: object, open_statuses: tuple[int, ...]) -> tuple[Scope, str]:
    """Whether a job is open for work; `PCVisibleInJC` other than Y marks a potential project."""
    if visible is not None and str(visible).strip().upper() not in ("", "Y"):
        return Scope.OUT, "a potential project, not yet a job"
    if status not in open_statuses:
        names: dict[object, str] = {0: "pending", 2: "soft closed", 3: "hard closed"}
        return Scope.OUT, f"the job is {names.get(status, f'in status {status}')}; its site, if any, stays"
    return Scope.ACTIVE, ""


def _site_key(row: Record, tables: Mapping[str, TargetTable]) -> str | None:
    if code := cleaned_key(row.get("ext_id") or "", ""):
        return code
    return f"{row.get('name')} @ {tables['site_clusters'].key_of(row.get('cluster_id')) or 'no cluster'}"


SITES = Table(
    "sites",
    "Sites, which are jobs and home offices,",
    Schema(
        (*keys(Kind.WHOLE, "id"), *columns(Kind.TEXT, f"name ext_id {ADDRESS}"), *columns(Kind.WHOLE, "cluster_id")),
        others=f"latitude longitude em_enabled em_weather_override naics_code industry_description {AUDIT}",
    ),
    _site_key,
    update="PUT",
)

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
    target=SITES,
    title="Sites from jobs",
    description="Open Viewpoint jobs as SafetyAmp sites, under the cluster of their contract's department.",
    sources=(SOURCE,),
    observed=("site_clusters", "sites"),
    after=("departments",),
    fields=FIELDS,
    match=(MatchKey("site code", "ext_id"), MatchKey("name", "name", owner="ext_id")),
    key=KEY,
    rules=JobsConfig,
    desire=desire_jobs,
    words={"rule.name": "job number and description"},
    place="cluster_id",
)
