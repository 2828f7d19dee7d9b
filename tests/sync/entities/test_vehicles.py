"""Samsara vehicles become assets: what identifies them, where they stand and who drives them."""

from __future__ import annotations

from typing import Any

import pytest
from small_worlds import (
    CIVIL,
    ROOT,
    SOUTH,
    YARD,
    Remembered,
    World,
    asset,
    asset_type,
    change,
    company,
    config,
    driver,
    pairs,
    plan_of,
    site,
    user,
    vehicle,
    verdict,
    verdicts,
)

POOL = config(vehicles={"default_site": "YARD"})
TRUCK = asset_type(40, 20)


def fleet(*vehicles: object, drivers: list[object] | None = None, **tables: list[Any]) -> World:
    """A company with a truck type in its yard, driver d1 being employee 5 of site 1."""
    known = {
        "site_clusters": [ROOT, SOUTH, CIVIL],
        "sites": [YARD, site(21, "1. - Works", 3, "1.")],
        "asset_types": [TRUCK, asset_type(41, 21)],
        "users": [user("u5", "5", home_site_id=21)],
    }
    people = drivers if drivers is not None else [driver("d1", externalIds={"employeeId": "005"})]
    return company(samsara__vehicles=list(vehicles), samsara__drivers=people, **(known | tables))


def driven_by(samsara_id: str) -> dict[str, Any]:
    return {"staticAssignedDriver": {"id": samsara_id}}


def test_a_vehicle_becomes_an_active_asset_at_its_drivers_site() -> None:
    van = vehicle("v1", vin="VIN1", licensePlate="ABC 123", model="F-150", **driven_by("d1"))

    assert pairs(plan_of("vehicles", fleet(van)), "v1") == {
        "name": (None, "Truck v1"),
        "serial": (None, "VIN1"),
        "code": (None, "ABC 123"),
        "model": (None, "F-150"),
        "site_id": (None, "1."),
        "asset_type_id": (None, "Vehicle @ 1."),
        "current_user_id": (None, "5"),
        "status": (None, 1),
    }


@pytest.mark.parametrize(("columns", "serial"), [({"vin": "VIN1"}, "VIN1"), ({}, "GW-v1"), ({"vin": " "}, "GW-v1")])
def test_the_serial_is_the_vin_else_that_of_the_gateway(columns: dict[str, str], serial: str) -> None:
    plan = plan_of("vehicles", fleet(vehicle("v1", **columns)), rules=POOL)

    assert pairs(plan, "v1")["serial"] == (None, serial)


@pytest.mark.parametrize(
    ("known", "how"),
    [
        ({"serial": "vin1"}, "VIN"),
        ({"serial": "GW-v1"}, "gateway serial"),
        ({"code": "abc 123"}, "licence plate"),
        ({"code": "abc 123", "serial": "unknown"}, "licence plate"),
    ],
)
def test_an_asset_is_recognised_by_vin_then_gateway_then_plate(known: dict[str, str], how: str) -> None:
    van = vehicle("v1", vin="VIN1", licensePlate="ABC 123")
    there = asset(60, site_id=20, asset_type_id=40, **known)

    assert change(plan_of("vehicles", fleet(van, assets=[there]), rules=POOL), "v1").target_id == 60


def test_a_plate_does_not_give_away_an_asset_that_is_another_vehicles() -> None:
    vans = [vehicle("v1", licensePlate="ABC 123"), vehicle("v2", vin="VIN2")]
    there = asset(60, site_id=20, asset_type_id=40, serial="VIN2", code="ABC 123")

    plan = plan_of("vehicles", fleet(*vans, assets=[there]), rules=POOL)

    assert verdicts(plan) == {"v1": "created", "v2": "updated"}


def test_a_swapped_gateway_changes_the_serial_of_the_same_asset() -> None:
    there = asset(60, name="Truck v1", site_id=20, asset_type_id=40, serial="GW-old")

    plan = plan_of("vehicles", fleet(vehicle("v1"), assets=[there]), rules=POOL, links={"v1": Remembered(60)})

    assert pairs(plan, "v1") == {"serial": ("GW-old", "GW-v1")}


@pytest.mark.parametrize(
    "person",
    [
        {"externalIds": {"employeeId": "5"}},
        {"externalIds": {"employeeId": "5"}, "notes": "9999"},
        {"externalIds": None, "notes": " 0005 "},
        {"notes": "00005"},
    ],
)
def test_a_driver_is_known_by_the_external_id_else_by_the_number_in_the_notes(person: dict[str, Any]) -> None:
    plan = plan_of("vehicles", fleet(vehicle("v1", **driven_by("d1")), drivers=[driver("d1", **person)]), rules=POOL)

    assert pairs(plan, "v1")["current_user_id"] == (None, "5")


@pytest.mark.parametrize("person", [{}, {"notes": "call 0005"}, {"externalIds": {"employeeId": "77"}}])
def test_a_vehicle_of_somebody_unknown_has_no_driver_and_stands_in_the_default_site(person: dict[str, Any]) -> None:
    plan = plan_of("vehicles", fleet(vehicle("v1", **driven_by("d1")), drivers=[driver("d1", **person)]), rules=POOL)

    assert "current_user_id" not in pairs(plan, "v1")
    assert pairs(plan, "v1")["site_id"] == (None, "YARD")


@pytest.mark.parametrize(
    ("tags", "place"),
    [
        ([{"name": "Pool"}], "1."),
        ([{"name": "Named"}], "1."),
        ([{"name": "Department 10"}], "YARD"),
        ([{"name": "Unknown"}, {"name": "Pool"}], "1."),
        ([{"name": "Department 10"}, {"name": "Pool"}], "1."),
        ([{"name": "Department 10"}, {"name": "Gone"}], "YARD"),
        ([{"name": "Department 99"}], None),
        ([], None),
    ],
)
def test_a_tag_leads_to_a_site_by_the_map_or_by_the_department_it_names(tags: list[Any], place: str | None) -> None:
    rules = config(vehicles={"tag_sites": {"Gone": "9.", "Pool": "1.", "Named": "1. - Works"}})

    plan = plan_of("vehicles", fleet(vehicle("v1", tags=tags)), rules=rules)

    assert pairs(plan, "v1").get("site_id") == ((None, place) if place else None)


@pytest.mark.parametrize("names", [("Pool", "Yard", "Department 10"), ("Department 10", "Yard", "Pool")])
def test_the_order_of_a_vehicles_tags_does_not_matter(names: tuple[str, ...]) -> None:
    rules = config(vehicles={"tag_sites": {"Pool": "1.", "Yard": "YARD"}})

    plan = plan_of("vehicles", fleet(vehicle("v1", tags=[{"name": name} for name in names])), rules=rules)

    assert pairs(plan, "v1")["site_id"] == (None, "1.")


def test_a_vehicle_without_any_place_is_rejected_with_what_to_set() -> None:
    plan = plan_of("vehicles", fleet(vehicle("v1")))

    assert verdicts(plan) == {"v1": "rejected"}
    assert "set vehicles.default_site in sync.yaml" in verdict(plan, "v1").reasons[0]


def test_where_a_site_has_no_such_type_the_vehicle_stands_in_the_default_site_with_the_default_type() -> None:
    rules = config(vehicles={"default_site": "YARD", "default_asset_type": "Pool car"})
    types = [asset_type(42, 20, "Pool car")]

    plan = plan_of("vehicles", fleet(vehicle("v1", **driven_by("d1")), asset_types=types), rules=rules)

    assert pairs(plan, "v1")["site_id"] == (None, "YARD")
    assert pairs(plan, "v1")["asset_type_id"] == (None, "Pool car @ YARD")


@pytest.mark.parametrize(("asked", "status"), [(False, 1), (True, 0)])
def test_the_hours_of_service_flag_decides_only_where_the_configuration_says_so(asked: bool, status: int) -> None:
    rules = config(vehicles={"default_site": "YARD", "status_from_regulation_mode": asked})

    plan = plan_of("vehicles", fleet(vehicle("v1", vehicleRegulationMode="unregulated")), rules=rules)

    assert pairs(plan, "v1")["status"] == (None, status)


def test_a_vehicle_that_vanished_is_reported_and_left_alone() -> None:
    there = asset(60, site_id=20, asset_type_id=40, serial="VIN1")

    plan = plan_of("vehicles", fleet(assets=[there]), links={"v1": Remembered(60)})

    assert plan.changes == ()
    assert [(found.kind, found.key) for found in plan.findings] == [("vanished", "v1")]


def test_a_vehicle_that_vanished_is_decommissioned_where_the_configuration_says_so() -> None:
    rules = config(vehicles={"decommission_vanished": True})
    there = asset(60, site_id=20, asset_type_id=40, serial="VIN1", status=1)

    plan = plan_of("vehicles", fleet(assets=[there]), links={"v1": Remembered(60)}, rules=rules)

    assert pairs(plan, "v1") == {"status": (1, 0)}
    assert [str(change.action) for change in plan.changes] == ["deactivate"]


def test_a_vehicle_that_was_entered_anew_has_not_vanished() -> None:
    rules = config(vehicles={"decommission_vanished": True, "default_site": "YARD"})
    there = asset(60, name="Truck v2", site_id=20, asset_type_id=40, serial="VIN1", status=1)
    anew = fleet(vehicle("v2", vin="vin1"), assets=[there])

    plan = plan_of("vehicles", anew, links={"v1": Remembered(60)}, rules=rules)

    assert (plan.changes, verdicts(plan)) == ((), {"v2": "unchanged"})
    assert [agreed.target_id for agreed in plan.agreed] == [60]


def test_two_vehicles_with_one_vin_are_rejected_until_one_is_corrected() -> None:
    twins = fleet(vehicle("v1", vin="VIN1"), vehicle("v2", vin="vin1"))

    plan = plan_of("vehicles", twins, rules=config(vehicles={"default_site": "YARD"}))

    assert plan.counts() == {"rejected": 2}
