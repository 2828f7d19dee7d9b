"""The business rules of sync.yaml as one validated, frozen model. Every key has a default and a description.

No YAML (`yaml_file.py`), no files (`settings/`), and no secrets: they live in the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from safetyamp_pipelines.sync.model.kinds import (
    Codes,
    Country,
    DepartmentPattern,
    EmployeeNumberPattern,
    Identifier,
    Keys,
    PhoneRegion,
    Positive,
    StateCode,
    Text,
    TimeZone,
)
from safetyamp_pipelines.sync.rules.calendar import ScheduleConfig
from safetyamp_pipelines.sync.rules.limits import ChecksConfig, GuardsConfig

Policy = Literal["source", "initial", "fill", "merge"]
UpdateMethod = Literal["PUT", "PATCH"]

Policies = Annotated[
    dict[Identifier, Policy],
    Field(
        description="Field name to policy, where the declared one does not fit: source (the source wins), initial (set "
        "on create only), fill (only where SafetyAmp has nothing), merge (three-way against what was last pushed)."
    ),
]
Protected = Annotated[
    Keys, Field(description="Source keys of records that are never touched in SafetyAmp, nor created there.")
]
Suppressed = Annotated[
    Keys, Field(description="Source keys that stay out of SafetyAmp; a record that is there stays as it is.")
]
TimeZoneHere = Annotated[TimeZone, Field(description="IANA time zone written to SafetyAmp for new records.")]
CountryHere = Annotated[
    Country, Field(description="Country written where neither the source nor SafetyAmp has one: two capitals.")
]
StateHere = Annotated[
    StateCode | None,
    Field(description="State written where neither the source nor SafetyAmp has one; null leaves it out."),
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ViewpointTables(_Section):
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


class ViewpointColumns(_Section):
    """Names of the columns this site has added to Vista; a column that is missing reads as empty, with a notice."""

    title: Identifier = Field(default="udEmpTitle", description="Job title, in the employees table.")
    region: Identifier = Field(default="udRegion", description="Region, in the departments table.")


class ViewpointConfig(_Section):
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
    query_timeout_seconds: Positive = Field(default=60, description="Longest time one query may take, in seconds.")
    lock_timeout_ms: Positive = Field(
        default=5000, description="Longest wait for another user's lock, in milliseconds."
    )


class EntraConfig(_Section):
    """How Microsoft Entra ID is read."""

    expand_manager: bool = Field(default=True, description="Read each user's manager too, for supervisors.")


class DepartmentsConfig(_Section):
    """Departments become site clusters."""

    root_cluster: Text | None = Field(
        default=None, description="Name of the root site cluster in SafetyAmp; null takes the only root there is."
    )
    osha_establishment: Literal[0, 1] = Field(default=0, description="OSHA flag of new clusters, 0 or 1.")
    policies: Policies = {}
    protected: Protected = ()
    suppressed: Suppressed = ()


class JobsConfig(_Section):
    """Jobs become sites."""

    open_statuses: Codes = Field(
        default=(1,), description="JobStatus values of an open job: 0 pending, 1 open, 2 and 3 closed."
    )
    timezone: TimeZoneHere = "America/Chicago"
    country: CountryHere = "US"
    default_state: StateHere = None
    policies: Policies = {}
    protected: Protected = ()
    suppressed: Suppressed = ()


class TitlesConfig(_Section):
    """Job titles become user titles; nothing to choose beyond what every entity can be told."""

    policies: Policies = {}
    protected: Protected = ()
    suppressed: Suppressed = ()


class EmployeesConfig(_Section):
    """Employees become users."""

    default_role: Text = Field(default="Field", description="Name of the SafetyAmp role given to a new user.")
    timezone: TimeZoneHere = "America/Chicago"
    country: CountryHere = "US"
    default_state: StateHere = None
    reactivate_without_history: bool = Field(
        default=True,
        description="An active employee whose account is off and whom this project never pushed: true switches "
        "the account on, false holds and reports it.",
    )
    default_phone_region: PhoneRegion = Field(
        default="US", description="Region in which telephone numbers without a country code are read."
    )
    protected_roles: tuple[Text, ...] = Field(
        default=(),
        description="Accounts that have one of these SafetyAmp roles are never touched, also when the person leaves.",
    )
    policies: Policies = {}
    protected: Protected = ()
    suppressed: Suppressed = ()


class VehiclesConfig(_Section):
    """Vehicles become assets."""

    asset_type: Text = Field(
        default="Vehicle", description="Name of the asset type that vehicles have; each site has its own."
    )
    default_site: Text | None = Field(
        default=None,
        description="Site code or name for a vehicle without driver and mapped tag; null rejects such a vehicle.",
    )
    default_asset_type: Text | None = Field(
        default=None, description="Asset type name at the default site; null is the name given as asset_type."
    )
    driver_external_id: Text = Field(
        default="employeeId", description="Key of the Samsara driver's external id that holds the employee number."
    )
    driver_notes_pattern: EmployeeNumberPattern = Field(
        default=r"^\s*(\d{4,6})\s*$",
        description="How the driver's notes hold the employee number; one group, the number.",
    )
    tag_sites: dict[Text, Text] = Field(default={}, description="Samsara tag name to site code or name.")
    tag_department_pattern: DepartmentPattern = Field(
        default=r"^Department (?P<department>\w+)",
        description="How a Samsara tag names a department; the group `department` is its code.",
    )
    status_from_regulation_mode: bool = Field(
        default=False,
        description="Take the status from vehicleRegulationMode, an hours-of-service flag; false: listed is active.",
    )
    decommission_vanished: bool = Field(
        default=False,
        description="Decommission the asset of a vehicle that Samsara no longer lists; false only reports it.",
    )
    policies: Policies = {}
    protected: Protected = ()
    suppressed: Suppressed = ()


class UpdateMethods(_Section):
    """HTTP verb of an update; the vendor's semantics of the two are not fully known."""

    site_clusters: UpdateMethod = "PUT"
    sites: UpdateMethod = "PUT"
    user_titles: UpdateMethod = "PUT"
    users: UpdateMethod = "PATCH"
    assets: UpdateMethod = "PUT"

    def __getitem__(self, table: str) -> UpdateMethod:
        """The verb for one SafetyAmp table, by its name."""
        method: UpdateMethod = getattr(self, table)
        return method


class TargetConfig(_Section):
    """How SafetyAmp is written."""

    update_methods: UpdateMethods = Field(
        default=UpdateMethods(), description="HTTP verb of an update, per SafetyAmp table."
    )
    refusals_in_a_row: Positive = Field(default=10, description="So many refused records in a row stop the entity.")
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
        description="Seconds for which a call whose answer was lost may still act; only then is it judged.",
    )


class SyncConfig(_Section):
    """The business rules of the synchronisation; every key has a default, so an empty file is valid."""

    companies: Codes = Field(
        default=(1,), description="Company numbers: PRCo of employees and departments, JCCo of jobs."
    )
    viewpoint: ViewpointConfig = ViewpointConfig()
    entra: EntraConfig = EntraConfig()
    departments: DepartmentsConfig = DepartmentsConfig()
    jobs: JobsConfig = JobsConfig()
    titles: TitlesConfig = TitlesConfig()
    employees: EmployeesConfig = EmployeesConfig()
    vehicles: VehiclesConfig = VehiclesConfig()
    target: TargetConfig = TargetConfig()
    guards: GuardsConfig = GuardsConfig()
    checks: ChecksConfig = ChecksConfig()
    schedule: ScheduleConfig = ScheduleConfig()

    @model_validator(mode="before")
    @classmethod
    def _sections_left_empty(cls, data: Any) -> Any:
        """A section whose every line is commented out reads as null in YAML and means its defaults."""
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}

    @model_validator(mode="after")
    def _default_asset_type_needs_its_site(self) -> Self:
        if self.vehicles.default_asset_type is not None and self.vehicles.default_site is None:
            raise ValueError("vehicles.default_asset_type is set without vehicles.default_site: name that site too")
        return self
