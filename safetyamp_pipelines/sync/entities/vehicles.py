"""Samsara vehicles become assets, with the site and the user of the assigned driver."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any

import pandas as pd

from safetyamp_pipelines.sync.entities.shared import HomeSites
from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.mapping import map_fields
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import Collision, Desired, EntitySpec, Field, MatchKey, Scope
from safetyamp_pipelines.sync.model.tables import References, at_path, fold
from safetyamp_pipelines.sync.rules.config import SyncConfig, VehiclesConfig

VEHICLES, DRIVERS = "samsara/vehicles", "samsara/drivers"
COLUMNS = ("id", "name", "vin", "serial", "licensePlate", "model", "make", "year")


def desire_vehicles(inputs: Inputs, config: SyncConfig) -> list[Desired]:
    """One record per Samsara vehicle, keyed by its Samsara id: the gateway serial changes when it is swapped."""
    frame = inputs.frame(VEHICLES, COLUMNS)
    vehicles = inputs.snapshot(VEHICLES).records
    drivers = _employee_of_driver(inputs, config.vehicles)
    homes = HomeSites(inputs.expected)
    places = [_Place(vehicle, drivers, inputs.expected, homes, config.vehicles) for vehicle in vehicles]
    frame["rule.site"] = pd.Series([place.site for place in places], dtype=object)
    frame["rule.site.why"] = pd.Series([place.why for place in places], dtype=object)
    frame["rule.asset_type"] = pd.Series([place.asset_type for place in places], dtype=object)
    frame["rule.asset_type.why"] = frame["rule.site.why"]
    frame["rule.user"] = pd.Series([place.user for place in places], dtype=object)
    frame["rule.status"] = pd.Series([_status(vehicle, config.vehicles) for vehicle in vehicles], dtype=object)
    mapped = map_fields(frame, FIELDS)
    return _vanished(inputs, config.vehicles) + [
        Desired(
            source_key=str(vehicle["id"]),
            natural_key=str(values["serial"] or vehicle["id"]),
            values=values,
            match=_match(vehicle),
            reasons=tuple(dict.fromkeys(reasons)),
            notes=tuple(notes),
        )
        for vehicle, values, reasons, notes in zip(vehicles, mapped.values, mapped.reasons, mapped.notes, strict=True)
    ]


def _vanished(inputs: Inputs, config: VehiclesConfig) -> list[Desired]:
    """Linked vehicles that Samsara no longer lists, if sync.yaml says that their assets are to be decommissioned;
    else they are only reported. One that was entered anew has not gone: its asset goes on under the new id."""
    if not config.decommission_vanished:
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
    keys = {"VIN": "vin", "gateway serial": "serial", "licence plate": "licensePlate"}
    return {name: (str(vehicle[column]),) for name, column in keys.items() if vehicle.get(column)}


def _status(vehicle: Record, config: VehiclesConfig) -> int:
    """1 active while listed. `vehicleRegulationMode` is an hours-of-service flag and decides
    only where sync.yaml says so."""
    return int(not (config.status_from_regulation_mode and vehicle.get("vehicleRegulationMode") == "unregulated"))


def _employee_of_driver(inputs: Inputs, config: VehiclesConfig) -> dict[str, str]:
    """Driver id → employee number: the configured external id, else a number that is all the notes hold."""
    found: dict[str, str] = {}
    for driver in inputs.snapshot(DRIVERS).records:
        number = (driver.get("externalIds") or {}).get(config.driver_external_id)
        if not number and (noted := re.search(config.driver_notes_pattern, driver.get("notes") or "")):
            number = noted.group(1)
        if number and (cleaned := clean.number(number, "")):
            found[str(driver["id"])] = cleaned
    return found


class _Place:
    """Where a vehicle stands and who drives it, all as natural keys; `why` when it has no place."""

    def __init__(
        self,
        vehicle: Record,
        drivers: Mapping[str, str],
        expected: References,
        homes: HomeSites,
        config: VehiclesConfig,
    ) -> None:
        self._expected, self._homes, self._config = expected, homes, config
        number = drivers.get(str(at_path(vehicle, "staticAssignedDriver.id")))
        users = expected["users"]
        row: Mapping[str, Any] = users.rows.get(users.id_of(number), {}) if number else {}  # type: ignore[arg-type]
        self.user = number if row else None
        self.site = self._sites_in_order(row, vehicle)
        self.asset_type = self._type_at(self.site, config.asset_type)
        if self.asset_type is None:
            self.site = config.default_site and self._site_key(config.default_site)
            self.asset_type = self._type_at(self.site, config.default_asset_type or config.asset_type)
        self.why = (
            "no driver, tag or default gives this vehicle a site that has the asset type "
            f"{config.asset_type!r}: set vehicles.default_site in sync.yaml, or add the type to the site"
        )
        if self.asset_type is None:
            self.site = None

    def _sites_in_order(self, user: Mapping[str, Any], vehicle: Record) -> str | None:
        sites = self._expected["sites"]
        if home := sites.key_of(user.get("home_site_id")):
            return home
        if tagged := self._site_of_tags({str(tag.get("name") or "") for tag in vehicle.get("tags") or ()}):
            return tagged
        return self._site_key(self._config.default_site) if self._config.default_site else None

    def _site_of_tags(self, tags: Set[str]) -> str | None:
        """What sync.yaml says of a tag, in its order, goes before the department that a tag names. Samsara promises no
        order of a vehicle's tags: by theirs a vehicle could change its site from one run to the next."""
        mapped = [self._site_key(site) for tag, site in self._config.tag_sites.items() if tag in tags]
        named = [re.search(self._config.tag_department_pattern, tag) for tag in sorted(tags)]
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


FIELDS = (
    Field("name", "Name", (f"{VEHICLES}.name", f"{VEHICLES}.serial"), "name", required=True),
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
    Field("current_user_id", "Driver", ("rule.user",), "current_user_id", references="users"),
    Field("status", "Status", ("rule.status",), "status", clean="as_is"),
)

SPEC = EntitySpec(
    name="vehicles",
    table="assets",
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
    desire=desire_vehicles,
    records=lambda inputs: [(None, str(row["id"])) for row in inputs.snapshot(VEHICLES).records],
    always=("site_id",),
    access="status",
    place="site_id",
    policies=lambda config: config.vehicles.policies,
)
