"""The vehicles' part of the scenario: what is the case before each run."""

from __future__ import annotations

from typing import Any

from oracle.book import Row
from oracle.cast import Cast


def before_first(cast: Cast) -> None:
    """Assets known by plate or gateway, drivers known in several ways, and places for vehicles."""
    _asset(cast, "by plate", code="PLATE-1")
    _vehicle(cast, "by plate", vin="1VINPLATE00000001", serial="GPLATE0001", licensePlate="PLATE-1")
    _asset(cast, "by gateway", serial="GOLD000001")
    _vehicle(cast, "by gateway", vin="1VINGATE000000001", serial="GOLD000001")
    _vehicle(cast, "swapped without vin", serial="GSWAP00001", licensePlate="SWAP-1")
    _vehicle(cast, "swapped with vin", vin="1VINSWAP000000001", serial="GSWAP00002")
    _vehicle(cast, "exchanging", serial="GEXCH00001", licensePlate="EXCH-1")
    _vehicle(cast, "exchanged", serial="GEXCH00002", licensePlate="EXCH-2")
    _vehicle(cast, "vanishing", vin="1VINGONE000000001", serial="GGONE00001")
    _vehicle(cast, "decommissioned by hand", vin="1VINDECO000000001", serial="GDECO00001")
    yard, office = {"id": "1", "name": "Yard South"}, {"id": "2", "name": f"Department {cast.about['department']} - T"}
    _vehicle(cast, "yard", tags=[yard])
    _vehicle(cast, "office", tags=[office])
    _vehicle(cast, "yard and office", tags=[office, yard])
    _vehicle(cast, "nowhere", tags=[{"id": "3", "name": "Department 99 - TESTBURG"}])
    _drivers(cast)


def _drivers(cast: Cast) -> None:
    numbers = {name: cast.present(f"driver {name}")[0] for name in ("external", "zeros", "noted", "phoned", "digits")}
    _driven(cast, "external", externalIds={"employeeId": str(numbers["external"])}, notes=str(numbers["noted"]))
    _driven(cast, "zeros", externalIds={"employeeId": f"{numbers['zeros']:06d}"})
    _driven(cast, "noted", notes=f" {numbers['noted']} ")
    _driven(cast, "phoned", notes="504-555-0123")
    _driven(cast, "digits", notes=f"unit {numbers['digits']}, call 5045550123")
    # This one is at home in a site that is new, so that it has no vehicle type yet.
    cast.hire("newcomer", job="30001.")
    _driven(cast, "newcomer", externalIds={"employeeId": str(cast.number("newcomer"))}, licensePlate="KEEP-1")


def _asset(cast: Cast, name: str, **fields: Any) -> None:
    yard = cast.site("HQ-YARD")["id"]
    kind = next(
        row["id"]
        for row in cast.safetyamp.tables()["asset_types"]
        if (row["site_id"], row["name"]) == (yard, "Vehicle")
    )
    asset = cast.safetyamp.insert("assets", name="Old truck", site_id=yard, asset_type_id=kind, status=1, **fields)
    cast.about[f"asset {name}"] = asset["id"]


def _vehicle(cast: Cast, name: str, **fields: Any) -> Row:
    cast.about[f"vehicle {name}"] = cast.sources.samsara_add("vehicles", name=name, **{"serial": name, **fields})
    return cast.about


def _driven(cast: Cast, name: str, licensePlate: str | None = None, **driver: Any) -> None:
    driver_id = cast.sources.samsara_add("drivers", **driver)
    plate = {"licensePlate": licensePlate} if licensePlate else {}
    _vehicle(cast, name, serial=f"G-{name}", staticAssignedDriver={"id": driver_id, "name": name}, **plate)


def before_second(cast: Cast) -> None:
    """New gateways, two that change places, a vehicle that is gone, one that lost driver and plate, one put out of
    service by hand."""
    gateways = ("swapped without vin", "swapped with vin", "exchanging", "exchanged")
    for name in (*gateways, "vanishing", "decommissioned by hand", "newcomer"):
        serials = {f"G-{name}", "GSWAP00001", "1VINSWAP000000001", "1VINGONE000000001", "1VINDECO000000001"}
        serials |= {"GEXCH00001", "GEXCH00002"}
        (asset,) = (a for a in cast.safetyamp.tables()["assets"] if a["name"] == name and a["serial"] in serials)
        cast.about[f"asset {name}"] = asset["id"]
    # Without the plate nothing but the link tells whose asset it is.
    cast.sources.samsara_update(cast.about["vehicle swapped without vin"], serial="GNEW000001", licensePlate=None)
    cast.sources.samsara_update(cast.about["vehicle swapped with vin"], serial="GNEW000002")
    cast.sources.samsara_update(cast.about["vehicle exchanging"], serial="GEXCH00002")
    cast.sources.samsara_update(cast.about["vehicle exchanged"], serial="GEXCH00001")
    cast.sources.samsara_remove(cast.about["vehicle vanishing"])
    cast.sources.samsara_update(cast.about["vehicle newcomer"], staticAssignedDriver=None, licensePlate=None)
    cast.safetyamp.edit("assets", cast.about["asset decommissioned by hand"], status=0)
