"""What every snapshot must look like: its columns, their JSON types and its key. Declared once; no check runs here.

The columns are those that the entities read, with the types of the systems' contracts; what else a system is known to
send is named too, so that only a column nobody has seen before counts as new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The JSON type of a value, null aside. A flag comes as true or 1: SafetyAmp shows both."""

    TEXT = "text"
    WHOLE = "whole number"
    FLAG = "flag"
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

    def known(self) -> set[str]:
        """Every column that is no news."""
        return {*self.others.split(), *(column.name for column in self.columns)}


def _columns(kind: Kind, names: str, presence: Presence = Presence.NEEDED) -> tuple[Column, ...]:
    return tuple(Column(name, kind, presence) for name in names.split())


def _keys(kind: Kind, names: str) -> tuple[Column, ...]:
    return _columns(kind, names, Presence.KEY)


AUDIT = "created_at updated_at deleted_at created_by updated_by deleted_by"

_VIEWPOINT = {
    "viewpoint/employees": Schema(
        (
            *_keys(Kind.WHOLE, "PRCo Employee"),
            *_columns(Kind.TEXT, "LastName FirstName HireDate TermDate PRDept MidName Sex BirthDate Email Phone"),
            *_columns(Kind.TEXT, "CellPhone Address Address2 City State Zip Country"),
            *_columns(Kind.TEXT, "udEmpTitle", Presence.SITE),
        ),
        others="Suffix ActiveYN JCCo Job",
    ),
    "viewpoint/departments": Schema(
        (
            *_keys(Kind.WHOLE, "PRCo"),
            *_keys(Kind.TEXT, "PRDept"),
            *_columns(Kind.TEXT, "Description"),
            *_columns(Kind.TEXT, "udRegion", Presence.SITE),
        )
    ),
    "viewpoint/jobs": Schema(
        (
            *_keys(Kind.WHOLE, "JCCo"),
            *_keys(Kind.TEXT, "Job"),
            *_columns(Kind.WHOLE, "JobStatus"),
            *_columns(Kind.TEXT, "Description PCVisibleInJC Department ShipAddress ShipAddress2 ShipCity ShipState"),
            *_columns(Kind.TEXT, "ShipZip ShipCountry"),
        ),
        others="Contract",
    ),
    "viewpoint/recent_jobs": Schema(
        (*_keys(Kind.WHOLE, "PRCo Employee"), *_columns(Kind.TEXT, "Job")), others="JCCo LastWorked"
    ),
}
_ENTRA = {
    "entra/users": Schema(
        (
            *_keys(Kind.TEXT, "id"),
            *_columns(Kind.TEXT, "employeeId mail mobilePhone userType"),
            *_columns(Kind.LIST, "businessPhones"),
            *_columns(Kind.OBJECT, "manager", Presence.LOOSE),
        ),
        others=(
            "accountEnabled userPrincipalName otherMails proxyAddresses givenName surname displayName jobTitle "
            "department"
        ),
    )
}
_TAGGED = (*_columns(Kind.LIST, "tags", Presence.LOOSE), *_columns(Kind.OBJECT, "externalIds", Presence.LOOSE))
_SAMSARA = {
    "samsara/vehicles": Schema(
        (
            *_keys(Kind.TEXT, "id"),
            *_columns(Kind.TEXT, "name vin serial licensePlate model make year", Presence.LOOSE),
            *_columns(Kind.TEXT, "vehicleRegulationMode", Presence.LOOSE),
            *_columns(Kind.OBJECT, "staticAssignedDriver", Presence.LOOSE),
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
        (*_keys(Kind.TEXT, "id"), *_columns(Kind.TEXT, "notes", Presence.LOOSE), *_TAGGED),
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
_ADDRESS = "street street2 city state zip_code country timezone"
_OBSERVED = {
    "site_clusters": Schema(
        (
            *_keys(Kind.WHOLE, "id"),
            *_columns(Kind.TEXT, "name external_code"),
            *_columns(Kind.WHOLE, "parent_cluster_id"),
            *_columns(Kind.FLAG, "osha_establishment"),
        ),
        others=f"path depth {AUDIT}",
    ),
    "sites": Schema(
        (
            *_keys(Kind.WHOLE, "id"),
            *_columns(Kind.TEXT, f"name ext_id {_ADDRESS}"),
            *_columns(Kind.WHOLE, "cluster_id"),
        ),
        others=f"latitude longitude em_enabled em_weather_override naics_code industry_description {AUDIT}",
    ),
    "user_titles": Schema((*_keys(Kind.WHOLE, "id"), *_columns(Kind.TEXT, "name")), others=AUDIT),
    "roles": Schema(
        (*_keys(Kind.WHOLE, "id"), *_columns(Kind.TEXT, "name"), *_columns(Kind.FLAG, "account_default")),
        others=f"guard_name default_role_id scim_external_id {AUDIT}",
    ),
    "users": Schema(
        (
            *_keys(Kind.TEXT, "id"),
            *_columns(Kind.TEXT, "emp_id first_name middle_name last_name email mobile_phone work_phone"),
            *_columns(Kind.TEXT, f"date_of_birth current_hire_date {_ADDRESS}"),
            *_columns(Kind.WHOLE, "gender home_site_id"),
            *_columns(Kind.OBJECT, "current_title"),
            *_columns(Kind.OBJECT, "current_supervisor", Presence.LOOSE),
            *_columns(Kind.LIST, "roles"),
            *_columns(Kind.FLAG, "system_access"),
        ),
        others=(
            "nickname rehire_date home_phone extension home_site current_department sites activated owner bypass_sso "
            "text_opt_out type avatar_location last_logged_in deleted_at"
        ),
    ),
    "asset_types": Schema(
        (*_keys(Kind.WHOLE, "id"), *_columns(Kind.TEXT, "name"), *_columns(Kind.WHOLE, "site_id")),
        others="asset_category_id relationships",
    ),
    "assets": Schema(
        (
            *_keys(Kind.WHOLE, "id"),
            *_columns(Kind.TEXT, "name serial code model current_user_id"),
            *_columns(Kind.WHOLE, "site_id asset_type_id"),
            *_columns(Kind.FLAG, "status"),
        ),
        others=f"description asset_type current_user location_id location site {AUDIT}",
    ),
}

SCHEMAS: Mapping[str, Schema] = {
    **_VIEWPOINT,
    **_ENTRA,
    **_SAMSARA,
    **{f"safetyamp_observed/{table}": schema for table, schema in _OBSERVED.items()},
}
