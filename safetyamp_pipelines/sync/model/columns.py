"""What a snapshot must look like: its columns, their JSON types and its key. Declared once; no check runs here.

The columns are those that the entities read, with the types of the systems' contracts; what else a system is known to
send is named too, so that only a column nobody has seen before counts as new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

OBSERVED = "safetyamp_observed"
"""Begins the names of SafetyAmp's snapshots, as the system's name begins those of the sources."""


class Kind(StrEnum):
    """The JSON type of a value, null aside. A flag comes as true or 1: SafetyAmp shows both."""

    TEXT = "text"
    WHOLE = "whole number"
    FLAG = "flag"
    SINGLE = "single value"
    LIST = "list"
    OBJECT = "object"

    @property
    def types(self) -> tuple[type, ...]:
        """The Python types that JSON of this kind is read as."""
        return TYPES[self]


TYPES: Mapping[Kind, tuple[type, ...]] = {
    Kind.TEXT: (str,),
    Kind.WHOLE: (int,),
    Kind.FLAG: (bool, int),
    Kind.SINGLE: (str, int, float, bool),
    Kind.LIST: (list,),
    Kind.OBJECT: (dict,),
}


class Presence(StrEnum):
    """How much the sync relies on a column."""

    KEY = "in every record, never null"
    NEEDED = "in the table"
    SITE = "in the table, where the site has added it"
    LOOSE = "left out where there is nothing to say"


@dataclass(frozen=True)
class Column:
    """One column that is read."""

    name: str
    kind: Kind
    presence: Presence = Presence.NEEDED


@dataclass(frozen=True)
class Schema:
    """The columns of one table. `others` names, between blanks, those that are known to come too and are not read."""

    columns: tuple[Column, ...]
    others: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a record."""
        return tuple(column.name for column in self.columns if column.presence is Presence.KEY)

    @property
    def names(self) -> set[str]:
        """The columns that are read."""
        return {column.name for column in self.columns}

    def with_site(self, names: Iterable[str]) -> Schema:
        """The schema with columns that sync.yaml names; one without any value is reported."""
        return replace(self, columns=(*self.columns, *(Column(name, Kind.SINGLE, Presence.SITE) for name in names)))

    def known(self) -> set[str]:
        """Every column that is known."""
        return {*self.others.split(), *self.names}


def columns(kind: Kind, names: str, presence: Presence = Presence.NEEDED) -> tuple[Column, ...]:
    """Columns of one kind, their names between blanks."""
    return tuple(Column(name, kind, presence) for name in names.split())


def keys(kind: Kind, names: str) -> tuple[Column, ...]:
    """Columns that identify a record, their names between blanks."""
    return columns(kind, names, Presence.KEY)


AUDIT = "created_at updated_at deleted_at created_by updated_by deleted_by"
ADDRESS = "street street2 city state zip_code country timezone"

_VIEWPOINT = {
    "viewpoint/employees": Schema(
        (
            *keys(Kind.WHOLE, "PRCo Employee"),
            *columns(Kind.TEXT, "LastName FirstName HireDate TermDate PRDept MidName Sex BirthDate Email Phone"),
            *columns(Kind.TEXT, "CellPhone Address Address2 City State Zip Country"),
            *columns(Kind.TEXT, "udEmpTitle", Presence.SITE),
        ),
        others="Suffix ActiveYN JCCo Job",
    ),
    "viewpoint/departments": Schema(
        (
            *keys(Kind.WHOLE, "PRCo"),
            *keys(Kind.TEXT, "PRDept"),
            *columns(Kind.TEXT, "Description"),
            *columns(Kind.TEXT, "udRegion", Presence.SITE),
        )
    ),
    "viewpoint/jobs": Schema(
        (
            *keys(Kind.WHOLE, "JCCo"),
            *keys(Kind.TEXT, "Job"),
            *columns(Kind.WHOLE, "JobStatus"),
            *columns(Kind.TEXT, "Description PCVisibleInJC Department ShipAddress ShipAddress2 ShipCity ShipState"),
            *columns(Kind.TEXT, "ShipZip ShipCountry"),
        ),
        others="Contract",
    ),
    "viewpoint/recent_jobs": Schema(
        (*keys(Kind.WHOLE, "PRCo Employee"), *columns(Kind.TEXT, "Job")), others="JCCo LastWorked"
    ),
}
_ENTRA = {
    "entra/users": Schema(
        (
            *keys(Kind.TEXT, "id"),
            *columns(Kind.TEXT, "employeeId mail mobilePhone userType"),
            *columns(Kind.LIST, "businessPhones"),
            *columns(Kind.OBJECT, "manager", Presence.LOOSE),
        ),
        others="accountEnabled",
    )
}
_TAGGED = (*columns(Kind.LIST, "tags", Presence.LOOSE), *columns(Kind.OBJECT, "externalIds", Presence.LOOSE))
_SAMSARA = {
    "samsara/vehicles": Schema(
        (
            *keys(Kind.TEXT, "id"),
            *columns(Kind.TEXT, "name vin serial licensePlate model make year", Presence.LOOSE),
            *columns(Kind.TEXT, "vehicleRegulationMode", Presence.LOOSE),
            *columns(Kind.OBJECT, "staticAssignedDriver", Presence.LOOSE),
            *_TAGGED,
        ),
        others=(
            "gateway cameraSerial esn notes attributes vehicleType vehicleWeight vehicleWeightInKilograms "
            "vehicleWeightInPounds grossVehicleWeight harshAccelerationSettingType isRemotePrivacyButtonEnabled "
            "sensorConfiguration createdAtTime updatedAtTime "
            + " ".join(f"auxInputType{number}" for number in range(1, 14))
        ),
    ),
    "samsara/drivers": Schema(
        (*keys(Kind.TEXT, "id"), *columns(Kind.TEXT, "notes", Presence.LOOSE), *_TAGGED),
        others=(
            "name username phone timezone locale attributes driverActivationStatus "
            "isDeactivated staticAssignedVehicle peerGroupTag vehicleGroupTag trailerGroupTag carrierSettings "
            "eldSettings eldExempt eldExemptReason eldAdverseWeatherExemptionEnabled eldBigDayExemptionEnabled "
            "eldDayStartHour eldPcEnabled eldYmEnabled usDriverRulesetOverride tachographCardNumber currentIdCardCode "
            "profileImageUrl hasDrivingFeaturesHidden hasVehicleUnpinningEnabled waitingTimeDutyStatusEnabled "
            "createdAtTime updatedAtTime"
        ),
    ),
}
SOURCES: Mapping[str, Schema] = {**_VIEWPOINT, **_ENTRA, **_SAMSARA}
"""By the name of its snapshot. SafetyAmp's tables are declared with the entities that write or read them."""
