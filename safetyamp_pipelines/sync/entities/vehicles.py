"""Samsara vehicles become assets, with the site and the user of the assigned driver."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, Self

from pydantic import Field as Setting
from pydantic import model_validator

from safetyamp_pipelines.sync.entities.shared import HomeSites
from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.columns import AUDIT, OBSERVED, Kind, Schema, columns, keys
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.kinds import DepartmentPattern, EmployeeNumberPattern, EntityRules, Text
from safetyamp_pipelines.sync.model.mapping import map_fields
from safetyamp_pipelines.sync.model.patterns import searched
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import (
    Collision,
    Desired,
    EntitySpec,
    Field,
    MatchKey,
    Scope,
    Somebody,
    SourceKey,
    Trace,
)
from safetyamp_pipelines.sync.model.tables import References, Table, at_path, fold

VEHICLES, DRIVERS = "samsara/vehicles", "samsara/drivers"
READ = ("name", "vin", "serial", "licensePlate", "model")


class VehiclesConfig(EntityRules):
    """Vehicles become assets."""

    asset_type: Text = Setting(
        default="Vehicle", description="Name of the asset type that vehicles have; each site has its own."
    )
    default_site: Text | None = Setting(
        default=None,
        description="Site code or name for a vehicle without a driver or mapped tag; null rejects such a vehicle.",
    )
    default_asset_type: Text | None = Setting(
        default=None, description="Asset type name at the default site; null is the name given as asset_type."
    )
    driver_external_id: Text = Setting(
        default="employeeId", description="Key of the Samsara driver's external id that holds the employee number."
    )
    driver_notes_pattern: EmployeeNumberPattern = Setting(
        default=r"^\s*(\d{4,6})\s*$",
        description="How the driver's notes hold the employee number; one group, the number.",
    )
    tag_sites: dict[Text, Text] = Setting(default={}, description="Samsara tag name to site code or name.")
    tag_department_pattern: DepartmentPattern = Setting(
        default=r"^Department (?P<department>\w+)",
        description="How a Samsara tag names a department; the group `department` is its code.",
    )
    status_from_regulation_mode: bool = Setting(
        default=False,
        description="Take the status from vehicleRegulationMode, an hours-of-service flag; false: listed is active.",
    )
    decommission_vanished: bool = Setting(
        default=False,
        description="Decommission the asset of a vehicle that Samsara no longer lists; false only reports it.",
    )

    @model_validator(mode="after")
    def _default_asset_type_needs_its_site(self) -> Self:
        if self.default_asset_type is not None and self.default_site is None:
            raise ValueError("default_asset_type is set without default_site: name that site too")
        return self


def desire_vehicles(inputs: Inputs, rules: VehiclesConfig) -> list[Desired]:
    """One record per Samsara vehicle, keyed by its Samsara id: the gateway serial changes when it is swapped."""
    vehicles = inputs.snapshot(VEHICLES).records
    numbers = {str(driver["id"]): driver_number(driver, rules) for driver in inputs.snapshot(DRIVERS).records}
    drivers = {driver: number for driver, number in numbers.items() if number}
    homes = HomeSites(inputs.expected)
    places = [_Place(vehicle, drivers, inputs.expected, homes, rules) for vehicle in vehicles]
    whys = [place.why for place in places]
    mapped = map_fields(
        {
            **inputs.columns(VEHICLES, READ),
            "rule.site": [place.site for place in places],
            "rule.site.why": list(whys),
            "rule.asset_type": [place.asset_type for place in places],
            "rule.asset_type.why": list(whys),
            "rule.user": [place.user for place in places],
            "rule.user.unknown": [place.doubt for place in places],
            "rule.status": [_status(vehicle, rules) for vehicle in vehicles],
        },
        FIELDS,
        unknown=SPEC.unknown(inputs.unread),
    )
    return _vanished(inputs, rules) + [
        found.desired(
            str(vehicle["id"]),
            str(found.values["serial"] or vehicle["id"]),
            match=_match(vehicle),
            rows=(vehicle,),
        )
        for vehicle, found in zip(vehicles, mapped, strict=True)
    ]


def _vanished(inputs: Inputs, rules: VehiclesConfig) -> list[Desired]:
    """Linked vehicles that Samsara no longer lists, if sync.yaml says that their assets are to be decommissioned;
    else they are only reported. One that was entered again is not gone: its asset continues under the new id."""
    if not rules.decommission_vanished:
        return []
    links, assets = inputs.memory.links, inputs.expected["assets"].rows
    listed = {str(vehicle["id"]): vehicle for vehicle in inputs.snapshot(VEHICLES).records}
    new = [vehicle for key, vehicle in listed.items() if key not in links]
    entered_anew = {
        fold(vehicle[name], case=True) for vehicle in new for name in ("vin", "serial") if vehicle.get(name)
    }
    gone = [
        key
        for key in sorted(links.keys() - listed.keys())
        if fold(assets.get(links[key].target_id, {}).get("serial") or "", case=True) not in entered_anew
    ]
    rule = "Samsara no longer lists this vehicle"
    return [Desired(key, key, values={}, match={}, scope=Scope.LEAVER, rule=rule) for key in gone]


def _match(vehicle: Record) -> dict[str, tuple[str, ...]]:
    keys = {"VIN": "vin", "gateway serial": "serial", "licence plate": "licensePlate", "name": "name"}
    return {name: (str(vehicle[column]),) for name, column in keys.items() if vehicle.get(column)}


def _status(vehicle: Record, rules: VehiclesConfig) -> int:
    """1 active while listed. `vehicleRegulationMode` is an hours-of-service flag and decides only where
    sync.yaml says so."""
    return int(not (rules.status_from_regulation_mode and vehicle.get("vehicleRegulationMode") == "unregulated"))


def _external_ids(driver: Record) -> Mapping[str, Any]:
    ids = driver.get("externalIds")
    return ids if isinstance(ids, dict) else {}


def driver_number(driver: Record, rules: VehiclesConfig) -> str | None:
    """The employee number of a driver: the configured external id, else a number that is all the notes hold."""
    number, notes = _external_ids(driver).get(rules.driver_external_id), driver.get("notes")
    if not number and isinstance(notes, str) and (noted := searched(rules.driver_notes_pattern, notes)):
        number = noted.group(1)
    return clean.number(number, "") if number else None


def _is_driver(row: Record, who: Somebody, rules: VehiclesConfig) -> bool:
    return who.has_number(driver_number(row, rules))


def _numbered_driver(row: Record, who: Somebody, rules: VehiclesConfig) -> dict[str, Any]:
    """The driver's external ids with the number: the notes, which may be all that held it, do not stay."""
    others = {name: value for name, value in _external_ids(row).items() if value}
    return {"externalIds": {rules.driver_external_id: who.number, **others}}


def _unrecognised(number: str | None) -> str:
    """Why the assigned driver is not a user."""
    if number is None:
        return "Driver stays as it is: Samsara gives no employee number for the assigned driver, enter it there"
    return f"Driver stays as it is: employee {number}, whom Samsara assigns, is not a user in SafetyAmp"


class _Place:
    """Where a vehicle stands and who drives it, all as natural keys; `why` when it has no place."""

    def __init__(
        self,
        vehicle: Record,
        drivers: Mapping[str, str],
        expected: References,
        homes: HomeSites,
        rules: VehiclesConfig,
    ) -> None:
        self._expected, self._homes, self._rules = expected, homes, rules
        driver = at_path(vehicle, "staticAssignedDriver.id")
        number = drivers.get(str(driver))
        users = expected["users"]
        row: Mapping[str, Any] = users.rows.get(users.id_of(number), {}) if number else {}  # type: ignore[arg-type]
        self.user = number if row else None
        self.doubt = None if row or driver is None else _unrecognised(number)
        self.site = self._sites_in_order(row, vehicle)
        self.asset_type = self._type_at(self.site, rules.asset_type)
        if self.asset_type is None:
            self.site = rules.default_site and self._site_key(rules.default_site)
            self.asset_type = self._type_at(self.site, rules.default_asset_type or rules.asset_type)
        self.why = (
            "no driver, tag or default gives this vehicle a site that has the asset type "
            f"{rules.asset_type!r}: set vehicles.default_site in sync.yaml, or add the type to the site"
        )
        if self.asset_type is None:
            self.site = None

    def _sites_in_order(self, user: Mapping[str, Any], vehicle: Record) -> str | None:
        sites = self._expected["sites"]
        if home := sites.key_of(user.get("home_site_id")):
            return home
        tags = vehicle.get("tags")
        named = [tag.get("name") for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
        if tagged := self._site_of_tags({str(name or "") for name in named}):
            return tagged
        return self._site_key(self._rules.default_site) if self._rules.default_site else None

    def _site_of_tags(self, tags: Set[str]) -> str | None:
        """What sync.yaml says of a tag, in its order, goes before the department that a tag names. Samsara promises no
        order of a vehicle's tags: by theirs a vehicle could change its site from one run to the next."""
        mapped = [self._site_key(site) for tag, site in self._rules.tag_sites.items() if tag in tags]
        named = [searched(self._rules.tag_department_pattern, tag) for tag in sorted(tags)]
        offices = [self._homes.home_office(found.group("department")) for found in named if found]
        return next((site for site in (*mapped, *offices) if site is not None), None)

    def _site_key(self, wanted: str) -> str | None:
        """The natural key of a site that sync.yaml names by code or by name; a name must be unique."""
        sites = self._expected["sites"]
        if sites.id_of(wanted) is not None:
            return wanted
        named = [row_id for row_id, row in sites.rows.items() if str(row.get("name")).strip() == wanted.strip()]
        return sites.key_of(named[0]) if len(named) == 1 else None

    def _type_at(self, site: str | None, name: str) -> str | None:
        """The asset type of that name at that site: an asset's type must belong to the asset's site."""
        key = f"{name} @ {site}"
        return key if site is not None and self._expected["asset_types"].id_of(key) is not None else None


ASSET_TYPES = Table(
    "asset_types",
    "Asset types, one of each name per site,",
    Schema(
        (*keys(Kind.WHOLE, "id"), *columns(Kind.TEXT, "name"), *columns(Kind.WHOLE, "site_id")),
        others="asset_category_id relationships",
    ),
    lambda row, tables: f"{row.get('name')} @ {tables['sites'].key_of(row.get('site_id')) or 'no site'}",
    fold_case=True,
)

ASSETS = Table(
    "assets",
    "Assets, which are vehicles and whatever people added by hand,",
    Schema(
        (
            *keys(Kind.WHOLE, "id"),
            *columns(Kind.TEXT, "name serial code model current_user_id"),
            *columns(Kind.WHOLE, "site_id asset_type_id"),
            *columns(Kind.FLAG, "status"),
        ),
        others=f"description asset_type current_user location_id location site {AUDIT}",
    ),
    lambda row, _tables: clean.text(row.get("serial") or "", ""),
    update="PUT",
    always=("site_id",),
)

FIELDS = (
    Field("name", "Name", (f"{VEHICLES}.name", f"{VEHICLES}.serial"), "name", required=True, personal=True),
    Field(
        "serial",
        "Serial",
        (f"{VEHICLES}.vin", f"{VEHICLES}.serial"),
        "serial",
        unique=Collision.REJECT,
        fold_case=True,
    ),
    Field("code", "Licence plate", (f"{VEHICLES}.licensePlate",), "code"),
    Field("model", "Model", (f"{VEHICLES}.model",), "model"),
    Field("site_id", "Site", ("rule.site",), "site_id", required=True, references="sites"),
    Field(
        "asset_type_id",
        "Asset type",
        ("rule.asset_type",),
        "asset_type_id",
        required=True,
        references="asset_types",
    ),
    Field("current_user_id", "Driver", ("rule.user",), "current_user_id", references="users", clears=True),
    Field("status", "Status", ("rule.status",), "status", clean="as_is"),
)

SPEC = EntitySpec(
    name="vehicles",
    target=ASSETS,
    title="Assets from vehicles",
    description="Samsara vehicles as SafetyAmp assets, at the site of their driver.",
    sources=(VEHICLES, DRIVERS),
    observed=("site_clusters", "sites", "user_titles", "roles", "users", "asset_types", "assets"),
    after=("departments", "jobs", "titles", "employees"),
    fields=FIELDS,
    match=(
        MatchKey("VIN", "serial", fold_case=True),
        MatchKey("gateway serial", "serial", fold_case=True),
        MatchKey("licence plate", "code", fold_case=True, owner="serial"),
    ),
    tie_breakers=(MatchKey("name", "name", fold_case=True),),
    key=SourceKey(VEHICLES, "id", clean="as_is", others=("name", "vin", "serial", "licensePlate")),
    rules=VehiclesConfig,
    desire=desire_vehicles,
    is_read_row_by_row=True,
    words={
        "rule.site": "the driver's home site, else the site of a Samsara tag, else vehicles.default_site",
        "rule.asset_type": "vehicles.asset_type of sync.yaml at that site",
        "rule.user": "the driver assigned in Samsara",
        "rule.status": "active while Samsara lists the vehicle",
    },
    rests_on={
        "rule.site": (DRIVERS, f"{OBSERVED}/users", f"{OBSERVED}/site_clusters"),
        "rule.asset_type": (DRIVERS, f"{OBSERVED}/users", f"{OBSERVED}/sites"),
        "rule.user": (DRIVERS,),
    },
    reads=(ASSET_TYPES,),
    traces=(
        Trace(DRIVERS, _is_driver, _numbered_driver, is_person=True),
        Trace(VEHICLES, lambda row, who, _rules: at_path(row, "staticAssignedDriver.id") in who.rows(DRIVERS)),
    ),
    access="status",
    place="site_id",
)
