"""The people's part of the scenario: what is the case before each run. What has to follow stands in the tests."""

from __future__ import annotations

from typing import Any

from oracle.cast import Cast

FUTURE = "2035-01-01 00:00:00"
PAST = "2024-05-05 00:00:00"


def before_first(cast: Cast) -> None:
    """What a first run finds."""
    _accounts(cast)
    _contested(cast)
    _contacts(cast)
    _lives(cast)
    _supervisors(cast)
    cast.hire("titled", udEmpTitle="FITTER  ")
    cast.hire("novel", udEmpTitle="Drone Pilot ")
    cast.hire("novel2", udEmpTitle="drone PILOT")
    cast.hire("middling", MidName="Quincy")
    cast.hire("person", first=" Łukasz ", last="O'Núñez ", Sex="F", Zip="01234-", State="LA ", BirthDate=PAST)
    cast.present("filled", lambda user: user["work_phone"] is not None)
    cast.safetyamp.edit("users", cast.id("filled"), work_phone=None)


def _insert(cast: Cast, name: str, **fields: Any) -> None:
    home = cast.site("HQ-YARD")["id"]
    user = {"first_name": "Some", "last_name": "Body", "home_site_id": home, "system_access": True, **fields}
    cast.about[f"{name} user"] = cast.safetyamp.insert("users", **user)["id"]


def _accounts(cast: Cast) -> None:
    cast.hire("linda")
    _insert(cast, "linda", email="linda@example.net")
    cast.hire("otto")
    _insert(cast, "otto", email="otto@example.net", emp_id="C-99")
    cast.hire("hidden")
    _insert(cast, "hidden", email="hidden@example.net", system_access=False)
    cast.safetyamp.hide("users", cast.about["hidden user"])
    _insert(cast, "unmanaged", email="inspector@example.org")


def _contested(cast: Cast) -> None:
    cast.hire("both1", Email="both@example.net")
    cast.hire("both2", Email="Both@Example.net ")
    _, holder = cast.present("holder")
    cast.hire("wisher", Email=holder["email"].upper())
    _, owner = cast.present("owner", lambda user: user["mobile_phone"] is not None)
    cast.hire("clash", CellPhone=owner["mobile_phone"])
    cast.hire("twin1", CellPhone="504-555-9901")
    cast.hire("twin2", CellPhone="(504) 555-9901")
    for name, phone in (("trader1", "504-555-9911"), ("trader2", "504-555-9912")):
        cast.hire(name, CellPhone=phone)


def _contacts(cast: Cast) -> None:
    number = cast.hire("zeros", entra={})
    cast.account(number, employeeId=f"{number:08d}")
    number = cast.hire("blanks", entra={})
    cast.account(number, employeeId=f"  {number} ")
    cast.hire("internal", entra={"mail": "internal@example.onmicrosoft.com"})
    cast.hire("private", entra={"mail": "private@example.onmicrosoft.com"}, Email="private@example.net")
    cast.hire("nomail", Email="none")
    phones = {"CellPhone": "504-555-7003", "Phone": "504-555-7004"}
    entra = {"mobilePhone": "+1 504 555 7001", "businessPhones": ["504-555-7002"]}
    cast.hire("entraphones", entra=entra, **phones)
    cast.hire("cell", CellPhone="504-555-7005", Phone="504-555-7006")
    cast.hire("landline", Phone="504.555.7007")
    cast.hire("nophone", CellPhone="call me", Phone="504 555 O123")


def _lives(cast: Cast) -> None:
    cast.hire("leaving", TermDate=FUTURE)
    cast.hire("left", TermDate=PAST)
    cast.hire("unhired", HireDate=None)
    cast.hire("nameless", first="  ")
    unhoused = next(r["PRDept"] for r in cast.box.world.viewpoint["bPRDP"] if r["udRegion"] == "Atlantic")
    cast.hire("homeless", department=unhoused)
    cast.hire("homed")
    cast.present("off without history")
    cast.safetyamp.edit("users", cast.id("off without history"), system_access=False)
    number, _ = cast.present("left long ago")
    cast.safetyamp.edit("users", cast.id("left long ago"), system_access=False)
    cast.sources.terminate(number, "2024-05-05")
    number, _ = cast.present("leaver in a mess")
    cast.sources.terminate(number, "2024-05-05")
    cast.employee(number, Email=None, FirstName=None, PRDept="99")
    cast.sources.delete_rows("bPRTH", {"Employee": number})
    cast.account(number, mail=None)


def _supervisors(cast: Cast) -> None:
    cast.hire("boss", entra={})
    cast.hire("minion", entra={"manager": cast.about["boss account"]})
    one, other = cast.hire("ring1", entra={}), cast.hire("ring2", entra={})
    cast.account(one, manager=cast.about["ring2 account"])
    cast.account(other, manager=cast.about["ring1 account"])
    # A boss whose account has no employee number yet: it is linked in the same run.
    cast.sources.entra_add(employeeId=str(cast.number("linda")), mail=None)
    linda = next(a["id"] for a in cast.box.world.entra if a["employeeId"] == str(cast.number("linda")))
    cast.hire("lindas", entra={"manager": linda})


def before_second(cast: Cast) -> None:
    """Leavers, edits by a person, and changes in the sources."""
    number, _ = cast.present("leaver")
    cast.sources.terminate(number)
    cast.present("off by hand")
    cast.safetyamp.edit("users", cast.id("off by hand"), system_access=False)
    cast.sources.rehire(cast.number("left long ago"))
    cast.present("renamed by hand")
    cast.safetyamp.edit("users", cast.id("renamed by hand"), last_name="Handmade", current_title_id=None)
    number, _ = cast.present("married")
    cast.employee(number, LastName="Newname", Email=None)
    cast.sources.entra_add(employeeId=str(number), mail="newname@example.com")
    cast.account(number, mail="newname@example.com")
    cast.present("number wiped")
    cast.safetyamp.edit("users", cast.id("number wiped"), emp_id=None, email="wiped@example.org")
    number, _ = cast.present("mover")
    cast.sources.move(number, job=cast.about["far job"])
    cast.present("promoted")
    admin = next(row["id"] for row in cast.safetyamp.tables()["roles"] if row["name"] == "Supervisor")
    cast.safetyamp.edit("users", cast.id("promoted"), roles=[{"id": admin}])
    _policies(cast)
    _emptied(cast)
    # Two exchange e-mail and telephone, and one of them has another name besides.
    cast.employee(cast.number("trader1"), Email="trader2@example.net", CellPhone="504-555-9912", LastName="Traded")
    cast.employee(cast.number("trader2"), Email="trader1@example.net", CellPhone="504-555-9911")
    number, _ = cast.present("hire date lost", lambda user: user["system_access"])
    cast.employee(number, HireDate=None)
    number, _ = cast.present("abroad", lambda user: user["state"] is not None)
    cast.safetyamp.edit("users", cast.id("abroad"), country="CA", state="ON")
    cast.employee(number, Country=None, State="TX ")
    number, _ = cast.present("moved abroad", lambda user: user["state"] is not None)
    cast.employee(number, Country="MX", State=None)


def _policies(cast: Cast) -> None:
    """`city` is initial, `work_phone` fill and `street` merge in this scenario."""
    cast.present("city by hand")
    cast.safetyamp.edit("users", cast.id("city by hand"), city="Persontown")
    number, _ = cast.present("city moved")
    cast.employee(number, City="Sourceville")
    cast.present("line by hand", lambda user: user["work_phone"] is not None)
    cast.safetyamp.edit("users", cast.id("line by hand"), work_phone="+15045558001")
    cast.present("street by hand", lambda user: user["street"] is not None)
    cast.safetyamp.edit("users", cast.id("street by hand"), street="1 Person Plaza")
    number, _ = cast.present("street moved", lambda user: user["street"] is not None)
    cast.employee(number, Address="2 Source Square")
    number, _ = cast.present("street by both", lambda user: user["street"] is not None)
    cast.employee(number, Address="3 Source Square")
    cast.safetyamp.edit("users", cast.id("street by both"), street="3 Person Plaza")


def _emptied(cast: Cast) -> None:
    number, _ = cast.present("emptied", lambda user: user["mobile_phone"] is not None and user["city"] is not None)
    columns = ("MidName", "Address", "City", "State", "Zip", "Country", "Phone", "CellPhone", "BirthDate", "udEmpTitle")
    cast.employee(number, Sex="N", **dict.fromkeys(columns))
    cast.account(number, mobilePhone=None, businessPhones=[], manager=None)


def before_third(cast: Cast) -> None:
    """Who comes back."""
    cast.sources.rehire(cast.number("leaver"))
