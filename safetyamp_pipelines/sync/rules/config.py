"""The business rules of sync.yaml as one validated, frozen model, put together from what the entities declare.

Every key has a default and a description. No YAML (`yaml_file.py`), no files (`settings/`), no secrets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, create_model, model_validator

from safetyamp_pipelines.sync.entities.registry import all_entities
from safetyamp_pipelines.sync.model.columns import AUDIT, SOURCES
from safetyamp_pipelines.sync.model.kinds import (
    Codes,
    CompanyRules,
    Identifier,
    Positive,
    Section,
    TinyInt,
    UpdateMethod,
)
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.rules.calendar import ScheduleConfig
from safetyamp_pipelines.sync.rules.limits import ChecksConfig, GuardsConfig
from safetyamp_pipelines.sync.rules.owners import OwnersConfig


class ViewpointTables(Section):
    """Vista tables or views to read, without schema; b-tables are not filtered by Vista's data security."""

    employees: Identifier = Field(default="bPREH", description="Employees, key PRCo and Employee.")
    departments: Identifier = Field(default="bPRDP", description="Payroll departments, key PRCo and PRDept.")
    jobs: Identifier = Field(default="bJCJM", description="Jobs, key JCCo and Job.")
    contracts: Identifier = Field(
        default="bJCCM", description="Contracts, key JCCo and Contract; they give a job's department."
    )
    timecards: Identifier = Field(
        default="bPRTH", description="Timecard history: the durable source of the job last worked."
    )
    payroll_interface: Identifier = Field(
        default="bPRJC", description="Payroll to job cost staging: rewritten and purged."
    )


class ViewpointColumns(Section):
    """Names of the columns this site has added to Vista; a column that is missing reads as empty, with a notice."""

    title: Identifier = Field(default="udEmpTitle", description="Job title, in the employees table.")
    region: Identifier = Field(default="udRegion", description="Region, in the departments table.")


class ViewpointConfig(Section):
    """How Viewpoint Vista is read."""

    db_schema: Identifier | None = Field(
        default=None, description="Schema of the tables; null is the login's default schema."
    )
    tables: ViewpointTables = Field(default=ViewpointTables(), description="Table names.")
    columns: ViewpointColumns = Field(default=ViewpointColumns(), description="Names of columns added by this site.")
    latest_job_source: Literal["timecards", "payroll_interface"] = Field(
        default="timecards", description="The table that says which open job an employee worked last."
    )
    lookback_days: Positive | None = Field(
        default=None, description="Only work of this many past days counts as the latest job; null counts all."
    )
    isolation_level: Literal["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT"] | None = Field(
        default=None,
        description="Isolation of the one transaction that reads everything; null is SNAPSHOT where the database "
        "allows it, else READ COMMITTED with a notice.",
    )
    query_timeout_seconds: Positive = Field(
        default=180, description="Longest time a read of all tables may take, in seconds."
    )
    lock_timeout_ms: Positive = Field(
        default=5000, description="Longest wait for another user's lock, in milliseconds."
    )


class EntraConfig(Section):
    """How Microsoft Entra ID is read."""

    expand_manager: bool = Field(default=True, description="Read each user's manager too, for supervisors.")


Place = tuple[str | int, ...]
"""Where something stands in sync.yaml: keys, and numbers in lists."""
WITH_SITE_COLUMNS = ("viewpoint/employees", "viewpoint/departments", "viewpoint/jobs")
"""Tables to which a site adds columns of its own."""
ENTITIES = all_entities("the model of sync.yaml")
_VERBS: dict[str, Any] = {
    spec.table: (UpdateMethod, Field(default=spec.target.update, description="HTTP verb of an update, PUT or PATCH."))
    for spec in ENTITIES
}
_Verbs: Any = create_model("_Verbs", __base__=Section, **_VERBS)


class UpdateMethods(_Verbs):  # type: ignore[misc]  # its tables are known when the registry is
    """HTTP verb of an update; the vendor's semantics of the two are not fully known."""

    def __getitem__(self, table: str) -> UpdateMethod:
        """The verb for one SafetyAmp table, by its name."""
        method: UpdateMethod = getattr(self, table)
        return method


class TargetConfig(Section):
    """How SafetyAmp is written."""

    update_methods: UpdateMethods = Field(
        default=UpdateMethods(), description="HTTP verb of an update, per SafetyAmp table."
    )
    refusals_in_a_row: Positive = Field(default=10, description="This many refused records in a row stop the entity.")
    refusals_share: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="This share of refused records stops the entity, from refusals_share_after on.",
    )
    refusals_share_after: Positive = Field(
        default=20, description="Records attempted before the share of refusals counts."
    )
    failure_expires_days: Positive = Field(
        default=7,
        description="Days after which a refused record, or a field that SafetyAmp ignored, is tried again although "
        "nothing changed.",
    )
    late_arrival_seconds: int = Field(
        default=60,
        ge=0,
        description="Seconds for which a call whose answer was lost may still act; it is looked up afterwards.",
    )


class _Sources(Section):
    companies: Codes = Field(
        default=(1,), description="Company numbers: PRCo of employees and departments, JCCo of jobs."
    )
    company_rules: dict[TinyInt, CompanyRules] = Field(
        default={}, description="Company number to the settings in which it differs from the entities' sections."
    )
    viewpoint: ViewpointConfig = ViewpointConfig()
    entra: EntraConfig = EntraConfig()


_SECTIONS: dict[str, Any] = {spec.name: (spec.rules, spec.rules()) for spec in ENTITIES}
_Entities: Any = create_model("_Entities", __base__=_Sources, **_SECTIONS)


class SyncConfig(_Entities):  # type: ignore[misc]  # its sections of entities are known when the registry is
    """The business rules of the synchronisation; every key has a default, so an empty file is valid."""

    target: TargetConfig = TargetConfig()
    guards: GuardsConfig = GuardsConfig()
    checks: ChecksConfig = ChecksConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    owners: OwnersConfig = OwnersConfig()

    @property
    def timezone(self) -> str:
        """The time zone in which a calendar day of the company begins."""
        zone: str = self.employees.timezone
        return zone

    def of(self, spec: EntitySpec) -> Any:
        """The section of an entity."""
        return getattr(self, spec.name)

    def columns_named(self) -> Iterator[tuple[EntitySpec, Place, str, str]]:
        """(entity, place in sync.yaml, table, column) of every source column that it names."""
        for spec in ENTITIES:
            rules = self.of(spec)
            for key, conditions in rules.conditions.items():
                for named in conditions:
                    yield spec, (spec.name, key, named), *spec.column_named(named)
            for number, custom in enumerate(rules.custom_fields):
                yield spec, (spec.name, "custom_fields", number, "column"), *spec.column_named(custom.column)

    def personal_names(self) -> Iterator[str]:
        """The personal fields that it adds, and the columns they come from."""
        for spec in ENTITIES:
            for custom in self.of(spec).custom_fields:
                if custom.personal:
                    yield from (custom.field, custom.column.rpartition(".")[2])

    def site_columns(self, table: str) -> dict[str, str]:
        """Column → key of sync.yaml, of the columns of that table that are read for its sake alone."""
        known = SOURCES[table].known() if table in SOURCES else ()
        return {
            column: ".".join(map(str, place))
            for _, place, of, column in self.columns_named()
            if of == table and column not in known
        }

    def problems(self) -> Iterator[tuple[Place, str]]:
        """(place, what is wrong there) of what no section shows by itself. Columns that a site may have added to Vista
        are looked up when it is read."""
        for spec, place, table, column in self.columns_named():
            if table not in spec.sources:
                yield place, f"names a table that {spec.name} are not read from; there are {', '.join(spec.sources)}"
            elif table not in WITH_SITE_COLUMNS and column not in (known := SOURCES[table].known()):
                yield place, f"names no column of {table}; there are {', '.join(sorted(known))}"
        for spec in ENTITIES:
            taken = {field.name for field in spec.fields}
            free = spec.target.schema.known() - {"id", *AUDIT.split()}
            free -= {*taken, *((field.read or "").partition(".")[0] for field in spec.fields)}
            for number, custom in enumerate(self.of(spec).custom_fields):
                place = (spec.name, "custom_fields", number, "field")
                if custom.field in taken:
                    yield place, f"{custom.field} has its source already; who wins there is set under policies"
                elif custom.field not in free:
                    yield place, f"names no field of {spec.table} that is free; there are {', '.join(sorted(free))}"
                taken.add(custom.field)
        for company in self.company_rules.keys() - set(self.companies):
            yield ("company_rules", company), "has rules, but is not among the companies"
        names = [spec.name for spec in ENTITIES]
        for entity in self.owners.entities.keys() - set(names):
            yield ("owners", "entities", entity), f"names no entity; there are {', '.join(names)}"
        for spec in ENTITIES:
            customs = {custom.field for custom in self.of(spec).custom_fields}
            for number, name in enumerate(self.of(spec).clears):
                if name not in customs and (why := spec.why_not_cleared(name)) is not None:
                    yield (spec.name, "clears", number), why

    @model_validator(mode="before")
    @classmethod
    def _sections_left_empty(cls, data: Any) -> Any:
        """A section whose every line is commented out reads as null in YAML and means its defaults."""
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}
