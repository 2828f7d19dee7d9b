"""The kinds of value that sync.yaml may hold, each with the check its writer needs, and what all its sections share.

The keys are in `rules/`, and for each entity in its declaration.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from safetyamp_pipelines.sync.model.clean import telephony
from safetyamp_pipelines.sync.model.patterns import is_costly

DEFAULT_PHONE_REGION = "US"


def _plain_identifier(name: str) -> str:
    """Table and column names become SQL identifiers, so nothing that needs quoting is let in."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("must be one plain name of letters, digits and _")
    return name


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("must be an IANA time zone such as America/Chicago") from error
    return name


def _phone_region(code: str) -> str:
    # The default is known to be one, and loads no library.
    if code != DEFAULT_PHONE_REGION and code not in telephony().SUPPORTED_REGIONS:
        raise ValueError("must be a two-letter region with a telephone plan, in capitals, such as US")
    return code


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"must be a regular expression: {error}") from error
    if is_costly(pattern):
        raise ValueError("has repeats in repeats, or too many in a row: a text could make it search for minutes")
    return compiled


def _pattern_with_one_group(pattern: str) -> str:
    if _compiled(pattern).groups != 1:
        raise ValueError(r"must have exactly one group, the employee number, such as ^\s*(\d{4,6})\s*$")
    return pattern


def _pattern_with_department(pattern: str) -> str:
    if "department" not in _compiled(pattern).groupindex:
        raise ValueError(r"must have a group named department, such as ^Department (?P<department>\w+)")
    return pattern


def _unique(values: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(values)) != len(values):
        raise ValueError("must name each number once")
    return values


def _column(name: str) -> str:
    """A column of the entity's own table, or of another of its sources: `PRDept`, `entra/users.mail`."""
    table, _, column = name.rpartition(".")
    if table and not re.fullmatch(r"[a-z_]+/[a-z_]+", table):
        raise ValueError("must be a column such as PRDept, or one of another source such as entra/users.mail")
    _plain_identifier(column)
    return name


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | int) else value


def _once(keys: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(keys)) != len(keys):
        raise ValueError("must name each key once")
    return keys


Text = Annotated[str, AfterValidator(_not_blank)]
Identifier = Annotated[str, AfterValidator(_plain_identifier)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
StateCode = Annotated[str, Field(pattern=r"^[A-Z]{2,3}$")]
TinyInt = Annotated[int, Field(strict=True, ge=0, le=255)]  # tinyint in Vista: companies and job states
Codes = Annotated[tuple[TinyInt, ...], Field(min_length=1), AfterValidator(_unique)]
Positive = Annotated[int, Field(strict=True, gt=0)]
PhoneRegion = Annotated[str, AfterValidator(_phone_region)]
SourceKey = Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(_not_blank)]  # 100482 is a number in YAML
Keys = Annotated[tuple[SourceKey, ...], AfterValidator(_once)]
EmployeeNumberPattern = Annotated[str, AfterValidator(_pattern_with_one_group)]
DepartmentPattern = Annotated[str, AfterValidator(_pattern_with_department)]

SourceColumn = Annotated[str, AfterValidator(_column)]
Values = Annotated[
    tuple[SourceKey, ...],
    Field(min_length=1),
    BeforeValidator(_as_list, json_schema_input_type=str | int | tuple[str | int, ...]),
]
Conditions = dict[SourceColumn, Values]

Policy = Literal["source", "initial", "fill", "merge"]
UpdateMethod = Literal["PUT", "PATCH"]
Policies = Annotated[
    dict[Identifier, Policy],
    Field(
        description="Field name to policy, where the declared one does not fit: source (the source wins), initial (set "
        "on create only), fill (only where SafetyAmp has nothing), merge (three-way against what was last pushed)."
    ),
]
Clears = Annotated[
    tuple[Identifier, ...],
    Field(description="Optional fields that an empty source clears in SafetyAmp; all others keep their value."),
]
Protected = Annotated[
    Keys, Field(description="Source keys of records that are never touched in SafetyAmp, nor created there.")
]
Suppressed = Annotated[
    Keys, Field(description="Source keys that stay out of SafetyAmp; a record that is already there stays as it is.")
]
TimeZoneHere = Annotated[TimeZone, Field(description="IANA time zone written to SafetyAmp for new records.")]
CountryHere = Annotated[
    Country, Field(description="Country written where neither the source nor SafetyAmp has one: two capital letters.")
]
StateHere = Annotated[
    StateCode | None,
    Field(description="State written where neither the source nor SafetyAmp has one; null leaves it out."),
]


class Section(BaseModel):
    """One section of sync.yaml."""

    # Built when first used: most are parts of others alone, and a command paid for each of them by itself, too.
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, serialize_by_alias=True, defer_build=True
    )


class CompanyRules(Section):
    """What one company has otherwise than the entities' sections say; null is as there."""

    root_cluster: Text | None = Field(default=None, description="Name of the root cluster of the company's regions.")
    default_role: Text | None = Field(default=None, description="Role of a new user of the company, by name.")
    timezone: TimeZone | None = Field(default=None, description="Time zone of its new users and sites.")
    job_prefix: Text | None = Field(
        default=None,
        description="Prefix of its job numbers in SafetyAmp, so that none clashes with another company's.",
    )


NO_RULES = CompanyRules()


class CustomField(Section):
    """A field of SafetyAmp that no declaration has, filled from a column of the source."""

    column: SourceColumn = Field(
        description="Column of the entity's own table, such as udShirtSize, or of another of its sources, such as "
        "entra/users.mail. Of Vista it may be one that the site has added."
    )
    field: Identifier = Field(description="Name under which SafetyAmp accepts and returns the value.")
    label: Text | None = Field(default=None, description="Label for people; null is the field's name.")
    cleaner: Literal["text", "key", "email", "phone", "date", "gender", "zip_code", "state", "number"] = Field(
        default="text", description="How the value is cleaned; one that cannot be used is left out with a note."
    )
    policy: Policy = Field(default="source", description="Who wins when both sides differ, as under policies.")
    personal: bool = Field(default=True, description="Whether the values are a person's: logs hide them.")


class EntityRules(Section):
    """What sync.yaml can say about every entity; an entity adds the keys of its own."""

    policies: Policies = {}
    clears: Clears = ()
    protected: Protected = ()
    suppressed: Suppressed = ()
    only: Conditions = Field(
        default={},
        description="Column to value, or list of values: only records that have one of them in every column named here "
        "are in scope. The others are left as they are in SafetyAmp; a leaver whom this project knows is switched off.",
    )
    except_: Conditions = Field(
        default={}, alias="except", description="Likewise: records that have one of the values are out of scope."
    )
    custom_fields: tuple[CustomField, ...] = Field(
        default=(), description="Further fields, each filled from a column; they behave like declared ones."
    )
    create: bool = Field(default=True, description="Whether new records are created; false skips them.")
    update: bool = Field(
        default=True, description="Whether records are updated, and accounts linked by their e-mail; false skips them."
    )
    deactivate: bool = Field(
        default=True, description="Whether leavers are switched off; false skips and reports them."
    )
    reactivate: bool = Field(default=True, description="Whether records are switched on again; false skips them.")
    first: Positive | None = Field(
        default=None,
        description="A canary: this many changes are pushed and read back before the rest, which is not attempted if "
        "SafetyAmp does not have what was written; null pushes all at once.",
    )
    in_sync_all: bool = Field(
        default=True,
        description="Whether sync_all, its schedule and `safetyamp sync` push the entity; false leaves it to its own "
        "job, and to being named.",
    )

    @property
    def conditions(self) -> dict[str, Conditions]:
        """`only` and `except` by their key."""
        return {"only": self.only, "except": self.except_}

    @property
    def phone_region(self) -> str:
        """The region in which telephone numbers without a country code are read."""
        return DEFAULT_PHONE_REGION
