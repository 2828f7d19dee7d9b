"""The users and assets SafetyAmp already holds: in step for most, with drift, strangers and leftovers among them."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator

from safetyamp_pipelines.sandbox import people
from safetyamp_pipelines.sandbox.world_jobs import region_of
from safetyamp_pipelines.sandbox.world_model import Draft, Row
from safetyamp_pipelines.sandbox.world_target_shapes import STAMP, Target, place_user
from safetyamp_pipelines.sandbox.world_timecards import latest_open_jobs
from safetyamp_pipelines.sandbox.world_vehicles import YARD_TAG

OLD_NUMBERS = 90_000  # where numbers nobody has any more begin in the telephone book


def is_candidate(target: Target, row: Row) -> bool:
    """Whether an employee's e-mail and phones are in order, and the title, if any, one that SafetyAmp knows."""
    title = (row["udEmpTitle"] or "").strip().lower()
    return target.draft.is_clean(row, "mail", "phone") and (not title or title in target.titles)


def add_users(target: Target) -> None:
    """Administrators, the present share of the fit employees, then leavers and drift."""
    draft = target.draft
    hq = target.sites["HQ-YARD"]
    for i in range(2):
        admin = target.add_user(None, "Site", f"Administrator {i + 1}", f"admin{i + 1}@example.com", hq)
        admin["roles"] = [dict(target.roles["Company Administrator"])]
        draft.note("administrators", admin["id"])
    homes = _homes(target)
    fit = [row for row in draft.people if is_candidate(target, row) and row["Employee"] in homes]
    wanted = min(len(fit), round(draft.spec.present * sum(draft.is_clean(row) for row in draft.people)))
    chosen = draft.dice("users").sample(fit, wanted)
    for row in sorted(chosen, key=lambda row: row["Employee"]):
        _add_employee(target, row, homes[row["Employee"]])
    _set_supervisors(target)
    if draft.spec.mess:
        present = [target.users[number] for number in sorted(target.users)]
        _add_leftovers(target, homes)
        _drift(draft, present, hq, target)


def add_assets(target: Target) -> None:
    """The present share of the vehicles, some as the old service left them, and things that are not vehicles."""
    draft, world = target.draft, target.draft.world
    wanted = round(draft.spec.present * draft.spec.vehicles)
    drivers = {row["id"]: row for row in world.samsara_drivers if row["driverActivationStatus"] == "active"}
    chosen = _chosen_vehicles(draft.dice("assets"), world.samsara_vehicles, wanted)
    homes = _homes(target)
    for car in sorted(chosen, key=lambda car: str(car["id"])):
        number = _driver_number(drivers.get(car.get("staticAssignedDriver", {}).get("id")))
        site = _site_of_vehicle(target, car, homes.get(number) if number else None)
        serial = car.get("vin", car["serial"])
        row = target.add_asset(
            car["name"], site, target.vehicle_types[site["id"]], target.users.get(number or 0), serial=serial
        )
        row |= {"code": car.get("licensePlate"), "model": car.get("model")}
    if draft.spec.mess:
        _spoil_assets(target)


def _chosen_vehicles(dice: random.Random, cars: list[Row], wanted: int) -> list[Row]:
    """Any vehicles, but three at least that have VIN and plate, so that there is something to drift."""
    complete = [car for car in cars if "vin" in car and "licensePlate" in car]
    first = dice.sample(complete, min(3, wanted, len(complete)))
    others = [car for car in cars if car not in first]
    return [*first, *dice.sample(others, wanted - len(first))]


def _homes(target: Target) -> dict[int, Row]:
    """Employees → the site they belong to, for those whose site SafetyAmp holds."""
    world, latest = target.draft.world, latest_open_jobs(target.draft.world)
    homes: dict[int, Row] = {}
    for row in target.draft.people:
        job = latest.get(row["Employee"])
        office = target.home_offices.get(region_of(world, row["PRDept"]) or "")
        site = target.sites.get(job) if job else office
        if site is not None:
            homes[row["Employee"]] = site
    return homes


def _add_employee(target: Target, row: Row, home: Row, **fields: object) -> Row:
    account = target.draft.accounts.get(row["Employee"])
    mobile = (account and account["mobilePhone"]) or row["CellPhone"] or row["Phone"]
    work = (account["businessPhones"][0] if account and account["businessPhones"] else None) or row["Phone"]
    title = target.titles.get((row["udEmpTitle"] or "").strip().lower())
    return target.add_user(
        str(row["Employee"]),
        (row["FirstName"] or "").strip(),
        row["LastName"].strip(),
        ((account and account["mail"]) or row["Email"] or f"old{row['Employee']}@example.com").strip(),
        home,
        middle_name=row["MidName"],
        gender={"F": 0, "M": 1}[row["Sex"]],
        date_of_birth=row["BirthDate"] and row["BirthDate"][:10],
        current_hire_date=row["HireDate"] and row["HireDate"][:10],
        mobile_phone=_e164(mobile),
        work_phone=_e164(work),
        street=row["Address"],
        city=row["City"],
        state=(row["State"] or "").strip() or None,
        zip_code=(row["Zip"] or "").strip("- ") or None,
        country="US",
        current_title={"id": title["id"], "name": title["name"]} if title else None,
        **fields,
    )


def _set_supervisors(target: Target) -> None:
    """Every user's supervisor, where both stand in SafetyAmp; it keeps them, but lists them only if it is made to."""
    accounts = target.draft.accounts
    numbers = {row["id"]: number for number, row in accounts.items()}
    for number, user in target.users.items():
        manager = numbers.get(accounts[number]["manager"]) if number in accounts else None
        supervisor = target.users.get(manager) if manager is not None else None
        user["current_supervisor_id"] = supervisor["id"] if supervisor else None


def _e164(number: str | None) -> str | None:
    digits = re.sub(r"\D", "", number or "")
    return f"+1{digits[-10:]}" if len(digits) >= 10 else None


def _add_leftovers(target: Target, homes: dict[int, Row]) -> None:
    """Leavers, rehired people, holders of contested e-mails, and users no employee stands behind."""
    draft, hq = target.draft, target.sites["HQ-YARD"]
    numbers = {row["Employee"]: row for row in draft.people}
    if draft.spec.present:
        leavers = draft.world.noted("terminated_past")
        for i, number in enumerate(leavers[: max(2, round(draft.spec.present * len(leavers)))]):
            row = _add_employee(target, numbers[number], homes.get(number, hq), system_access=i % 2 == 0)
            draft.note("leavers_off_already" if i % 2 else "leavers_still_on", row["id"])
        for number in draft.world.noted("rehired"):
            row = _add_employee(target, numbers[number], homes.get(number, hq), system_access=False)
            row["current_hire_date"] = "2019-01-07"
        for number in draft.world.noted("duplicate_email_with_holder")[::2]:
            _add_employee(target, numbers[number], homes.get(number, hq))
    for number in draft.world.noted("email_held_by_hidden_user"):
        email = numbers[number]["Email"]
        hidden = target.add_user(None, "Former", "Colleague", email, hq, system_access=False, deleted_at=STAMP)
        draft.note("hidden_users", hidden["id"])
    for i in range(2):
        stranger = target.add_user((None, "C-77")[i], "Visiting", f"Inspector {i}", f"visitor{i}@example.org", hq)
        draft.note("unmanaged_users", stranger["id"])


def _drift(draft: Draft, present: list[Row], hq: Row, target: Target) -> None:
    dice = draft.dice("user drift")
    odd = itertools.cycle(dice.sample(present, len(present)))  # a small world drifts twice in the same user
    size = max(1, len(present) // 60)

    def some(kind: str) -> Iterator[Row]:
        for row, _ in zip(odd, range(size), strict=False):
            draft.note(kind, row["id"])
            yield row

    for row in some("users_old_name"):
        row["last_name"] = "Formername"
    for row in some("users_without_title"):
        row["current_title"] = None
    for row in some("users_switched_off_by_hand"):
        row["system_access"] = False
    for row in some("users_without_emp_id"):
        target.users.pop(int(row["emp_id"]))
        row["emp_id"] = None
    for row in some("users_elsewhere"):
        place_user(row, hq)
    for i, row in enumerate(some("users_old_phone")):
        row["mobile_phone"] = _e164(people.telephone(OLD_NUMBERS + i))


def _driver_number(someone: Row | None) -> int | None:
    if someone is None:
        return None
    told = someone.get("externalIds", {}).get("employeeId") or someone["notes"].strip()
    return int(told) if re.fullmatch(r"\d{4,6}", told) else None


def _site_of_vehicle(target: Target, car: Row, home: Row | None) -> Row:
    """The driver's site, else the tagged one, else headquarters; only a site with a vehicle type will do."""
    names = [tag["name"] for tag in car.get("tags", [])]
    code = next((name.split()[1] for name in names if name.startswith("Department ")), None)
    office = target.home_offices.get(region_of(target.draft.world, code) or "") if code else None
    site = home or (target.sites["YARD-SOUTH"] if YARD_TAG in names else office) or target.sites["HQ-YARD"]
    return site if site["id"] in target.vehicle_types else target.sites["HQ-YARD"]


def _spoil_assets(target: Target) -> None:
    draft, hq = target.draft, target.sites["HQ-YARD"]
    cars = {car["name"]: car for car in draft.world.samsara_vehicles}
    complete = [row for row in target.tables["assets"] if row["code"] and "vin" in cars[row["name"]]]
    drifts: dict[str, Callable[[Row], Row]] = {
        "asset_with_gateway_serial": lambda row: {"serial": cars[row["name"]]["serial"]},
        "asset_with_plate_only": lambda _: {"serial": None},
        "asset_renamed": lambda _: {"name": "Old truck"},
    }
    odd = draft.dice("asset drift").sample(complete, min(len(drifts), len(complete)))
    for row, (kind, drift) in zip(odd, drifts.items(), strict=False):
        row.update(drift(row))
        draft.note(kind, row["id"])
    if draft.spec.present:
        gone = target.add_asset("Unit 899", hq, target.vehicle_types[hq["id"]], None, serial="1FTEX1CP0JK999999")
        draft.note("asset_of_vanished_vehicle", gone["id"])
    ladders = next(row for row in target.tables["asset_types"] if row["name"] == "Ladder")
    draft.note("asset_that_is_no_vehicle", target.add_asset("Ladder 12", hq, ladders, None, serial="L-12")["id"])
