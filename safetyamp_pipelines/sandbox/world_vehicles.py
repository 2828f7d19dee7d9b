"""Samsara's vehicles and drivers, and what goes wrong in them. Served by samsara.py."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from typing import Any

from safetyamp_pipelines.sandbox.people import CITIES
from safetyamp_pipelines.sandbox.world_jobs import UNKNOWN_DEPARTMENT
from safetyamp_pipelines.sandbox.world_model import Draft, Row

YARD_TAG = "Yard South"
MODELS = (("FORD", "F-150"), ("FORD", "F-250"), ("CHEVROLET", "Silverado"), ("RAM", "2500"), ("FREIGHTLINER", "M2"))
_FIRST_VEHICLE, _FIRST_DRIVER, _FIRST_TAG = 281470000000001, 52000001, 4600001


def driver(driver_id: str, name: str, *, notes: str = "", employee_id: str | None = None, **fields: Any) -> Row:
    """A driver as Samsara lists it; `employee_id` becomes the external id `employeeId`, absent values are left out."""
    row: Row = {
        "id": driver_id,
        "name": name,
        "username": f"driver{driver_id}",
        "notes": notes,
        "timezone": "America/Chicago",
        "driverActivationStatus": "active",
        "tags": [],
        "createdAtTime": "2024-02-27T18:04:29Z",
        "updatedAtTime": "2026-11-01T07:00:00Z",
    }
    return row | ({"externalIds": {"employeeId": employee_id}} if employee_id is not None else {}) | fields


def vehicle(dice: random.Random, number: int, department: str, city: str) -> Row:
    """The `number`-th vehicle as Samsara lists it, with VIN, gateway, plate and a department tag, without a driver."""
    make, model = dice.choice(MODELS)
    serial = "G" + "".join(dice.choices(string.ascii_uppercase, k=3)) + f"{number:06d}"
    vin = f"1FTEX1CP0JK{number:06d}"
    return {
        "id": str(_FIRST_VEHICLE + number),
        "name": f"Unit {900 + number}",
        "vin": vin,
        "make": make,
        "model": model,
        "year": str(dice.randint(2012, 2026)),
        "serial": serial,
        "gateway": {"model": "VG34", "serial": f"{serial[:4]}-{serial[4:7]}-{serial[7:]}"},
        "licensePlate": f"X{number:06d}",
        "notes": "",
        "tags": [{"id": str(_FIRST_TAG + int(department)), "name": f"Department {department} - {city.upper()}"}],
        "attributes": [],
        "externalIds": {"samsara.serial": serial, "samsara.vin": vin},
        "vehicleRegulationMode": dice.choice(("regulated", "unregulated")),
        "harshAccelerationSettingType": "passengerCar",
        "createdAtTime": "2024-02-27T18:04:29Z",
        "updatedAtTime": "2026-11-01T07:00:00Z",
    }


def assign(car: Row, someone: Row) -> None:
    """Make this driver the vehicle's current one, in the words of the vehicle list."""
    car["staticAssignedDriver"] = {"id": someone["id"], "name": someone["name"]}
    car["name"] = f"{car['name'].partition(' - ')[0]} - {someone['name']}"


def add_vehicles(draft: Draft) -> None:
    """`spec.vehicles` vehicles, three of four with a driver who is a clean employee; then, with mess, the oddities."""
    dice, world = draft.dice("vehicles"), draft.world
    people = [row for row in draft.people if draft.is_clean(row, "mail", "site")] or draft.people
    for i in range(draft.spec.vehicles):
        employee = people[(i * 7) % len(people)] if people else None
        department = employee["PRDept"] if employee else "10"
        car = vehicle(dice, i, department, CITIES[int(department) % len(CITIES)])
        if employee and i % 4 != 3:
            name = f"{employee['FirstName']} {employee['LastName']}"
            someone = driver(str(_FIRST_DRIVER + i), name, employee_id=str(employee["Employee"]))
            world.samsara_drivers.append(someone)
            assign(car, someone)
        world.samsara_vehicles.append(car)
    if draft.spec.mess:
        _spoil_drivers(draft)
        _spoil_vehicles(draft)


def _spoil_drivers(draft: Draft) -> None:
    """What is noted are the vehicles whose current driver is odd."""
    drivers = {row["id"]: row for row in draft.world.samsara_drivers}
    driven = [row for row in draft.world.samsara_vehicles if "staticAssignedDriver" in row]
    draft.dice("spoil drivers").shuffle(driven)
    cars = iter(driven)

    def some(kind: str, share: float = 0.02) -> Iterator[tuple[Row, Row]]:
        for car in _some(draft, cars, kind, share):
            yield car, drivers[car["staticAssignedDriver"]["id"]]

    for _, someone in some("driver_number_in_notes", 0.1):
        someone["notes"] = f" {someone.pop('externalIds')['employeeId']} "
    for _, someone in some("driver_phone_in_notes"):
        someone.pop("externalIds")
        someone["notes"] = "504-555-0123"
    for _, someone in some("driver_digits_in_notes"):
        someone["notes"] = f"call 5045550123, was unit {someone.pop('externalIds')['employeeId']}"
    for _, someone in some("driver_deactivated", 0.03):
        someone["driverActivationStatus"] = "deactivated"
    for _, someone in some("driver_leading_zeros"):
        someone["externalIds"]["employeeId"] = someone["externalIds"]["employeeId"].zfill(6)
    leavers = draft.world.noted("terminated_past")
    for _, someone in some("driver_terminated") if leavers else ():
        someone["externalIds"]["employeeId"] = str(leavers[0])
    for _, someone in some("driver_of_no_employee"):
        someone["externalIds"]["employeeId"] = "999999"
    for car, someone in some("driver_not_listed"):
        draft.world.samsara_drivers.remove(someone)
        car["staticAssignedDriver"]["id"] = "59999999"


def _spoil_vehicles(draft: Draft) -> None:
    shuffled = list(draft.world.samsara_vehicles)
    draft.dice("spoil vehicles").shuffle(shuffled)
    odd_drivers = {car for kind, cars in draft.world.notes.items() if kind.startswith("driver_") for car in cars}
    # Vehicles that lose their driver come first, and none whose driver was made odd: both notes have to stay true.
    cars = iter(sorted(shuffled, key=lambda car: car["id"] in odd_drivers))
    for car in _some(draft, cars, "vehicle_bare", 0.02):
        for absent in car.keys() - {"id", "name", "serial", "createdAtTime"}:
            del car[absent]
        car["name"] = car["serial"]
    for car in _some(draft, cars, "vehicle_in_yard_by_tag", 0.03):
        car["tags"] = [{"id": str(_FIRST_TAG - 1), "name": YARD_TAG}]
        car.pop("staticAssignedDriver", None)
    for car in _some(draft, cars, "vehicle_tag_unknown_department", 0.02):
        car["tags"][0]["name"] = f"Department {UNKNOWN_DEPARTMENT} - NOWHERE"
        car.pop("staticAssignedDriver", None)
    for car in _some(draft, cars, "vehicle_without_vin", 0.05):
        del car["vin"], car["externalIds"]["samsara.vin"]
    for car in _some(draft, cars, "vehicle_without_tags", 0.03):
        del car["tags"]
    for car in _some(draft, cars, "vehicle_without_plate", 0.03):
        del car["licensePlate"]


def _some(draft: Draft, cars: Iterator[Row], kind: str, share: float) -> list[Row]:
    wanted = max(1, round(share * draft.spec.vehicles))
    chosen = [car for _, car in zip(range(wanted), cars, strict=False)]
    draft.note(kind, *(car["id"] for car in chosen))
    return chosen
