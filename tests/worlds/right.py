"""What SafetyAmp should say in the end, worked out from the sources by other means than the package's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oracle.cleaning import day, email, key, number, telephone, text

from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.plan import Verdict
from worlds.play import World
from worlds.story import Row

EMPLOYEES, JOBS, DEPARTMENTS, VEHICLES = (
    "viewpoint/employees",
    "viewpoint/jobs",
    "viewpoint/departments",
    "samsara/vehicles",
)


EMPTY = "(nothing)"
CLEARED = {"current_user_id"}
"""What an empty source clears by itself."""


def wrong_values(world: World) -> list[str]:
    """Every record that the last run called unchanged and is not as the sources want it, and everybody who was turned
    away without need. Values that SafetyAmp refused or a person decides are passed over where the verdict says so."""
    after = _After(world)
    checks = [_places(after), _jobs(after), _people(after), _vehicles(after), *_exchanges(after)]
    return [wrong for check in checks for wrong in check]


class _After:
    """The end of a world: SafetyAmp's tables by id, what the ledger has linked, and the last run's verdicts."""

    def __init__(self, world: World) -> None:
        ledger = world.ledger()
        self.world, self.sources, self.steps = world, world.sources, world.story.steps
        self.tables = {name: {row["id"]: row for row in rows} for name, rows in world.safetyamp.tables().items()}
        self.links = {name: ledger.links(name) for name in world.specs}
        last = world.runs[-1].verdicts
        self.verdicts = {name: {verdict.source_key: verdict for verdict in last.get(name, ())} for name in world.specs}
        self.today = world.clock.today()

    def rows(self, source: str) -> list[Row]:
        return list(self.sources.get(source, {}).values())

    def linked(self, entity: str, source_key: str) -> Row | None:
        """The SafetyAmp record of a source record, when the ledger knows it and it is listed."""
        link = self.links[entity].get(source_key)
        return self.tables[BY_NAME[entity].table].get(link.target_id) if link is not None else None

    def outcome(self, entity: str, source_key: str) -> str:
        verdict = self.verdicts[entity].get(source_key)
        return str(verdict.outcome) if verdict is not None else ""

    def is_in_ring(self, entity: str, source_key: str) -> bool:
        """Whether the record is held for a ring alone, in which it and others want each other's value."""
        verdict = self.verdicts[entity].get(source_key)
        return verdict is not None and str(verdict.outcome) == "held" and "a ring: " in verdict.rule

    def compare(self, entity: str, source_key: str, wanted: Mapping[str, Any]) -> Iterator[str]:
        """What differs in a record that is said to be unchanged. `wanted` is by written name; None is not compared,
        EMPTY is a value that is to be gone where sync.yaml says that it clears."""
        if self.outcome(entity, source_key) != "unchanged" and not self.is_in_ring(entity, source_key):
            return
        row = self.linked(entity, source_key)
        if row is None:
            yield f"{entity} {source_key} is unchanged, and is nowhere"
            return
        spec, link, verdict = BY_NAME[entity], self.links[entity][source_key], self.verdicts[entity][source_key]
        policies = self.world.config.of(spec).policies
        cleared = {spec.named(named).name for named in self.world.config.of(spec).clears} | CLEARED
        for name, value in wanted.items():
            told = spec.field(name)
            is_excused = name in link.not_taken or policies.get(name) == "merge" or _speaks_of(verdict, told.label)
            found = _shown(row, name)
            if value is EMPTY and (name not in cleared or found is None):
                continue
            if value is not None and not is_excused and value != (_folded(found) if told.fold_case else found):
                yield f"{entity} {source_key}: {name} is {found!r}, wanted {value!r}"


@dataclass
class _Wish:
    """What a linked source record wants in a unique field (None: nothing), and what its SafetyAmp record has;
    whether its source has let go of that."""

    wanted: Any
    has: Any
    target_id: Any
    is_released: bool


def _exchanges(after: _After) -> list[Iterator[str]]:
    """Unique values that pass from record to record, in worlds where nobody else has a hand in them."""
    if any(type(step).__name__ in ("Edit", "Insert", "Hide") or getattr(step, "meanwhile", ()) for step in after.steps):
        return []
    people = [(int(row["Employee"]), row) for row in after.rows(EMPLOYEES)]
    wanted = {
        str(who): _person(after, who, row).wanted
        for who, row in people
        if _is_active(row, after.today) and after.world.config.employees.policies.get("mobile_phone") != "merge"
    }
    serials = {
        str(row["id"]): {"serial": _folded(text(row.get("vin")) or text(row.get("serial"))) or EMPTY}
        for row in after.rows(VEHICLES)
        if "vehicles" in after.verdicts
    }
    return [
        _exchanged(after, "employees", "email", wanted, is_required=True),
        _exchanged(after, "employees", "mobile_phone", wanted),
        _exchanged(after, "vehicles", "serial", serials),
    ]


def _exchanged(
    after: _After, entity: str, name: str, wanted: Mapping[str, Mapping[str, Any]], is_required: bool = False
) -> Iterator[str]:
    """A value that its holder gives up has gone to the one who wants it. Of a ring, each of which wants the next one's,
    nobody has got any only where SafetyAmp cannot do without a value: then each is told who is in it."""
    wishes = _wishes(after, entity, name, wanted)
    owners = {wish.target_id: who for who, wish in wishes.items()}
    claims = Counter(_folded(values[name]) for values in wanted.values())
    waits_for: dict[str, str] = {}
    for who, wish in wishes.items():
        if wish.wanted in (None, wish.has) or claims[wish.wanted] > 1 or _was_refused(after, entity, who):
            continue
        rows = after.tables[BY_NAME[entity].table].values()
        holders = [row["id"] for row in rows if _folded(_shown(row, name)) == wish.wanted]
        if not holders:
            yield f"{entity} {who} wants a {name} that nobody has, and has not got it"
        elif len(holders) == 1 and holders[0] in owners:
            waits_for[who] = owners[holders[0]]
    for who in sorted(waits_for):
        ring = [who]
        while (following := waits_for.get(ring[-1])) is not None and following not in ring:
            ring.append(following)
        rule = after.verdicts[entity][who].rule
        if following is None and wishes[ring[-1]].is_released:
            yield f"{entity} {who}: nobody sets the {name} free that {ring[-1]} has and its source has let go of"
        elif following == who and not is_required:
            yield f"{entity} {', '.join(ring)} want each other's {name}, and could have got it"
        elif following == who and (not after.is_in_ring(entity, who) or any(member not in rule for member in ring)):
            yield f"{entity} {who}: nobody is told that {', '.join(sorted(ring))} are a ring of {name}: {rule}"


def _wishes(after: _After, entity: str, name: str, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, _Wish]:
    """The wishes of the records that are in step, as their verdicts say, or in a ring."""
    spec, found = BY_NAME[entity], {}
    is_cleared = name in {spec.named(label).name for label in after.world.config.of(spec).clears}
    for who, values in wanted.items():
        row = after.linked(entity, who)
        is_settled = after.outcome(entity, who) == "unchanged" or after.is_in_ring(entity, who)
        if row is not None and is_settled and name not in after.links[entity][who].not_taken:
            value = None if values[name] is EMPTY else _folded(values[name])
            is_released = is_cleared and value is None and not _was_refused(after, entity, who)
            found[who] = _Wish(value, _folded(_shown(row, name)), row["id"], is_released)
    return found


def _was_refused(after: _After, entity: str, key: str) -> bool:
    return any("refused" in note for note in after.verdicts[entity][key].notes)


def _speaks_of(verdict: Verdict, label: str) -> bool:
    return any(note.startswith(label) or label in note.partition(":")[2] for note in verdict.notes)


def _shown(row: Row, name: str) -> Any:
    if name == "current_title_id":
        return (row["current_title"] or {}).get("id")
    return row[name].strip() if isinstance(row[name], str) else row[name]


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _places(after: _After) -> Iterator[str]:
    for row in after.rows(DEPARTMENTS):
        code, described = text(row["PRDept"]), text(row.get("Description"))
        region = after.linked("departments", f"region {_spelling(after, text(row.get('udRegion')))}")
        wanted = {"external_code": code, "name": _named(code, described), "parent_cluster_id": region and region["id"]}
        yield from after.compare("departments", str(code), wanted)


def _named(code: str | None, described: str | None) -> str:
    return f"{code} - {described}" if described else str(code)


def _spelling(after: _After, region: str | None) -> str | None:
    """Of spellings that differ by case only the most frequent, then the first by alphabet."""
    found = [text(row.get("udRegion")) for row in after.rows(DEPARTMENTS)]
    counts = Counter(name for name in found if name and region and name.casefold() == region.casefold())
    return min(counts, key=lambda name: (-counts[name], name)) if counts else None


def _jobs(after: _After) -> Iterator[str]:
    for row in after.rows(JOBS):
        code = key(row["Job"])
        cluster = after.linked("departments", str(text(row.get("Department"))))
        wanted = {
            "ext_id": code.strip(),
            "name": f"{code} - {text(row.get('Description'))}".strip(),
            "zip_code": "01234",
        }
        yield from after.compare("jobs", code, {**wanted, "cluster_id": cluster and cluster["id"]})


@dataclass
class _Person:
    """What the sources say of one active employee."""

    number: int
    email: str | None
    home: Any
    wanted: dict[str, Any]


def _people(after: _After) -> Iterator[str]:
    rows = [(int(row["Employee"]), row) for row in after.rows(EMPLOYEES)]
    people = [_person(after, who, row) for who, row in rows if _is_active(row, after.today)]
    mails = Counter(person.email for person in people)
    for person in people:
        source_key = str(person.number)
        yield from after.compare("employees", source_key, person.wanted)
        if after.outcome("employees", source_key) == "rejected" and _is_fit(after, person, mails):
            yield f"employees {source_key} was rejected and need not be"
    for who, row in rows:
        user = after.linked("employees", str(who))
        is_leaver = after.outcome("employees", str(who)) == "out_of_scope" and _has_left(row, after.today)
        if is_leaver and user is not None and user["system_access"]:
            yield f"employees {who} has left and still has access"


def _is_active(row: Row, today: str) -> bool:
    return row.get("HireDate") is not None and not _has_left(row, today)


def _has_left(row: Row, today: str) -> bool:
    ended = day(row.get("TermDate"))
    return ended is not None and ended <= today


def _person(after: _After, who: int, row: Row) -> _Person:
    accounts = [account for account in after.rows("entra/users") if number(account["employeeId"]) == who]
    account: Row = accounts[0] if accounts else {}
    address = email(account.get("mail")) or email(row.get("Email"))
    called = text(row.get("udEmpTitle"))
    title = after.linked("titles", called.casefold()) if called else None
    home, phones = _home(after, who, row), [account.get("mobilePhone"), row.get("CellPhone")]
    wanted = {
        "emp_id": str(who),
        "first_name": text(row.get("FirstName")),
        "last_name": text(row.get("LastName")),
        "email": address,
        "mobile_phone": telephone(phones) if any(phones) else EMPTY,
        "city": text(row.get("City")),
        "current_title_id": (title and title["id"]) if called else EMPTY,
        "home_site_id": home,
        "system_access": True,
    }
    return _Person(who, address, home, wanted)


def _home(after: _After, who: int, row: Row) -> Any:
    """The site of the latest job worked, else the first that stands directly in the department's region."""
    worked = [key(found["Job"]).strip() for found in after.rows("viewpoint/recent_jobs") if found["Employee"] == who]
    sites = after.tables["sites"].values()
    for site in sites:
        if worked and text(site["ext_id"]) == worked[0]:
            return site["id"]
    department = text(row.get("PRDept"))
    cluster = next((c for c in after.tables["site_clusters"].values() if text(c["external_code"]) == department), None)
    if department is None or cluster is None or cluster["parent_cluster_id"] is None:
        return None
    return min((site["id"] for site in sites if site["cluster_id"] == cluster["parent_cluster_id"]), default=None)


def _is_fit(after: _After, person: _Person, mails: Mapping[str | None, int]) -> bool:
    """Named, at home somewhere, and with an e-mail address that nobody else has or wants."""
    own = after.links["employees"].get(str(person.number))
    users = after.tables["users"].values()
    holders = [user["id"] for user in users if (user["email"] or "").casefold() == person.email]
    is_held = any(own is None or holder != own.target_id for holder in holders)
    is_named = person.wanted["first_name"] is not None and person.wanted["last_name"] is not None
    return (
        is_named and person.email is not None and mails[person.email] == 1 and not is_held and person.home is not None
    )


def _vehicles(after: _After) -> Iterator[str]:
    if "vehicles" not in after.verdicts:
        return
    for row in after.rows(VEHICLES):
        serial = text(row.get("vin")) or text(row.get("serial"))
        wanted = {
            "serial": _folded(serial),
            "name": text(row.get("name")),
            "code": text(row.get("licensePlate")) or EMPTY,
        }
        if not row.get("staticAssignedDriver"):
            wanted["current_user_id"] = EMPTY
        yield from after.compare("vehicles", str(row["id"]), wanted)
        asset = after.linked("vehicles", str(row["id"]))
        if asset is not None and after.tables["asset_types"][asset["asset_type_id"]]["site_id"] != asset["site_id"]:
            yield f"vehicles {row['id']} has an asset type of another site"
