"""Worlds that broke a promise once, or that a person thought of: small, named, and played again for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_worlds import FIELD_ROLE, ROOT, asset_type, cluster, department, employee, job, recent_job, site, user

from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.inputs import Inputs
from safetyamp_pipelines.sync.model.plan import Change
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec
from safetyamp_pipelines.sync.rules.config import SyncConfig
from worlds.notebook import Notebook, Notebooks
from worlds.play import Stage, World
from worlds.promises import broken_promises
from worlds.story import (
    Approve,
    Drop,
    Edit,
    Fault,
    Hide,
    Insert,
    Meanwhile,
    Put,
    Row,
    Run,
    SetBack,
    Step,
    Story,
    Swap,
    Wait,
)


def company(*people: Row, users: list[Row] | None = None, steps: list[Step], **accounts: Row) -> Story:
    """Department 10 in the South with its yard, where all of these people work."""
    return Story(
        sources={
            "viewpoint/departments": {"10": department("10")},
            "viewpoint/employees": {row["Employee"]: row for row in people},
            "viewpoint/recent_jobs": {row["Employee"]: recent_job(row["Employee"], "YARD") for row in people},
            "entra/users": accounts,
        },
        safetyamp={
            "site_clusters": [ROOT, cluster(2, "South", 1, "South")],
            "sites": [site(20, "Yard", 2, "YARD")],
            "roles": [FIELD_ROLE],
            "asset_types": [asset_type(60, 20)],
            "users": users or [],
        },
        steps=tuple(steps),
        entities=Story.entities[:4],
    )


def account_of(number: int, manager: int) -> Row:
    return {"id": f"e{number}", "employeeId": str(number), "mail": None, "manager": {"employeeId": str(manager)}}


def every_kill(*before: Step) -> list[Step]:
    """A process that dies at its first entry, the next one at its second, and so on."""
    return [*before, *(Run((Fault("journal", nth, "killed after"),)) for nth in range(2, 9))]


def moved_and_renamed(kind: str, **columns: str) -> list[Step]:
    """Employee 1 has changed, in name and city unless said otherwise, and the call that writes it meets that fault."""
    changed = columns or {"City": "Sampleton", "FirstName": "Ida"}
    return [Put("viewpoint/employees", 1, changed), Run((Fault("call", 1, kind),))]


def of_both(**columns: str | None) -> list[Step]:
    """Both have changed: more than the guards of these worlds let pass."""
    return [Put("viewpoint/employees", number, columns) for number in (1, 2)]


def trucks(*steps: Step, **options: bool) -> Story:
    """Three trucks in step, each with a gateway of its own."""
    story = company(employee(1), steps=[Run(), *steps])
    vehicles = {
        f"v{n}": {"id": f"v{n}", "serial": f"GW-{n}", "name": f"Truck {n}", "tags": [{"name": "Department 10"}]}
        for n in (1, 2, 3)
    }
    sources = {**story.sources, "samsara/vehicles": vehicles}
    return replace(story, sources=sources, options=options, entities=Story.entities)


PAIR = employee(1), employee(2)
PHONED = [employee(n, CellPhone=f"504-234-567{n}") for n in (1, 2)]
OLE, NORA = {"FirstName": "Ole"}, {"FirstName": "Nora"}
GATEWAYS, MAILS = ("samsara/vehicles", "serial"), ("viewpoint/employees", "Email")
PEOPLE = "viewpoint/employees"
PHONE_SWAP = Swap(PEOPLE, (1, 2), "CellPhone")
IGNORES_CITY = {"ignored_fields": {"users": ["city"]}}

STORIES = {
    "two who supervise each other, and the process dies at every entry": company(
        *PAIR, a=account_of(1, 2), b=account_of(2, 1), steps=every_kill()
    ),
    "an e-mail address passes on, and the answers are lost": company(
        *PAIR,
        steps=[
            Run(),
            Put("viewpoint/employees", 1, {"Email": "new@example.com"}),
            Put("viewpoint/employees", 2, {"Email": "p1@example.com"}),
            Run((Fault("call", 1, "lost, acted"), Fault("call", 2, "lost, not acted"))),
        ],
    ),
    "an account is linked, the answer is empty, and then the person leaves": company(
        *PAIR,
        users=[user("u1", None, email="P1@example.com")],
        steps=[
            Run((Fault("call", 2, "empty answer"), Fault("call", 3, "empty answer"))),
            Put("viewpoint/employees", 1, {"TermDate": "2026-11-22 00:00:00"}),
            Run((Fault("call", 1, "fatal"),)),
            Wait(72),
            Run((Fault("call", 1, "killed after"),)),
        ],
    ),
    "the call that links an account never arrives, and then the person leaves": company(
        *PAIR,
        users=[user("u1", None, email="P1@example.com")],
        steps=[
            Run((Fault("call", 1, "not sent"), Fault("call", 2, "not sent"), Fault("call", 3, "not sent"))),
            Put("viewpoint/employees", 1, {"TermDate": "2026-11-22 00:00:00"}),
            Wait(72),
            Run(),
        ],
    ),
    "two exchange their telephone numbers, and the process dies at every entry": company(
        *PHONED, steps=every_kill(Run(), PHONE_SWAP)
    ),
    "two exchange their telephone numbers, and the call that sets one free is not sent": company(
        *PHONED, steps=[Run(), PHONE_SWAP, Run((Fault("call", 1, "not sent"),))]
    ),
    "one of two who exchange their numbers has moved, and the call that sets one free is not sent": company(
        *PHONED,
        steps=[
            Run(),
            PHONE_SWAP,
            Put("viewpoint/employees", 2, {"City": "Sampleton"}),
            Run((Fault("call", 1, "not sent"),)),
        ],
    ),
    "SafetyAmp refuses a number that a person has just given to another, whose owner then wants this one's": company(
        *PHONED,
        steps=[
            Run(),
            Put("viewpoint/employees", 1, {"CellPhone": "504-234-5679"}),
            Run((), (Meanwhile(1, Edit("users", 1, "mobile_phone", "+15042345679")),)),
            Put("viewpoint/employees", 2, {"CellPhone": "504-234-5671"}),
        ],
    ),
    "a call is not sent on the evening of somebody's last day, to which the clock was set back": company(
        employee(1),
        employee(2, TermDate="2026-11-20 00:00:00"),
        steps=[Run(), Wait(24), SetBack(30), Run((Fault("call", 1, "not sent"),), pause=5)],
    ),
    "somebody is refused for an address of a hidden account, and then entered by hand with another one": company(
        employee(1, Email="c@example.com"),
        steps=[
            Insert("users", {"emp_id": "2", "first_name": "Eve", "email": "c@example.com"}),
            Hide(0),
            Run(),
            Insert("users", {"emp_id": "1", "first_name": "Eve", "email": "d@example.com"}),
        ],
    ),
    "a title is made, the process dies, and a person gives it another name before anybody looks": company(
        employee(1),
        steps=[Run((Fault("call", 1, "killed after"),)), Edit("user_titles", 0, "name", "Dam")],
    ),
    "Entra fails when a number passes on, and is read again": company(
        *PAIR,
        a={**account_of(1, 2), "mail": "one@example.com", "mobilePhone": "504-234-5671"},
        steps=[
            Run(),
            Put("entra/users", "a", {"mobilePhone": None, "mail": None}),
            Put("viewpoint/employees", 2, {"CellPhone": "504-234-5671"}),
            Run(unread=("entra/users",)),
            Put("viewpoint/employees", 1, {"TermDate": "2026-11-20 00:00:00"}),
            Run(unread=("entra/users", "viewpoint/recent_jobs")),
        ],
    ),
    "a person enters by hand whom the run is about to create": company(
        *PAIR,
        steps=[
            Run(
                meanwhile=(
                    Meanwhile(
                        3,
                        Insert(
                            "users",
                            {"emp_id": "1", "first_name": "Eve", "last_name": "Hand", "email": "p1@example.com"},
                        ),
                    ),
                )
            )
        ],
    ),
    "a record is edited while its own update is under way, and the source loses it and finds it again": company(
        *PAIR,
        steps=[
            Run(),
            Put("viewpoint/employees", 1, {"FirstName": "Ole"}),
            Run((Fault("call", 1, "lost, acted"),), (Meanwhile(1, Edit("users", 0, "first_name", "Eve")),)),
            Drop("viewpoint/employees", 1),
            Run(),
            Put("viewpoint/employees", 1, employee(1, FirstName="Ida")),
        ],
    ),
    "two who supervise each other, and the site of one could not be made": company(
        employee(1),
        employee(2),
        a=account_of(1, 2),
        b=account_of(2, 1),
        steps=[
            Put("viewpoint/jobs", "44", job("44", Description="Dam", ShipZip="01234")),
            Put("viewpoint/recent_jobs", 2, recent_job(2, "44")),
            Run((Fault("call", 1, "not sent"),)),
        ],
    ),
    "a person takes the number from an account, and then its owner leaves": company(
        *PAIR,
        steps=[
            Run(),
            Edit("users", 0, "emp_id", None),
            Put("viewpoint/employees", 1, {"TermDate": "2026-11-19 00:00:00"}),
        ],
    ),
    "the root cluster gets the name of a region, whose departments go to a new one": company(
        employee(1),
        steps=[
            Run(),
            Edit("site_clusters", 0, "name", "South"),
            Put("viewpoint/departments", "10", {"udRegion": "North"}),
            Run((Fault("call", 1, "not sent"),)),
        ],
    ),
    "SafetyAmp ignores one of the fields of an update, and the answer is lost": replace(
        company(*PAIR, steps=[Run(), *moved_and_renamed("lost, acted"), Run()]), options=IGNORES_CITY
    ),
    "SafetyAmp ignores one of the fields of an update, and the process dies": replace(
        company(*PAIR, steps=[Run(), *moved_and_renamed("killed after"), Run()]), options=IGNORES_CITY
    ),
    "SafetyAmp ignores all of an update, and the answer is lost": replace(
        company(*PAIR, steps=[Run(), *moved_and_renamed("lost, acted", City="Sampleton"), Run()]), options=IGNORES_CITY
    ),
    "SafetyAmp ignores a field of a new record, and the answer is lost": replace(
        company(*PAIR, steps=[Run((Fault("call", 2, "lost, acted"),))]), options=IGNORES_CITY
    ),
    "SafetyAmp acts minutes after the time-out, before the next run": company(
        *PAIR, steps=[Run(tuple(Fault("call", nth, "late", 300) for nth in range(1, 6)))]
    ),
    "SafetyAmp acts a minute after the time-out, and the next run begins at once": company(
        *PAIR, steps=[Run(tuple(Fault("call", nth, "late", 55) for nth in range(1, 6)), pause=5), Run()]
    ),
    "SafetyAmp acts a minute after the process died, and the next run begins at once": company(
        *PAIR, steps=[*(Run((Fault("call", 1, "killed, acts late", 55),), pause=5) for _ in range(4)), Run()]
    ),
    "SafetyAmp acts minutes after the time-out, sync.yaml knows that, and the next run begins at once": replace(
        company(*PAIR, steps=[Run(tuple(Fault("call", nth, "late", 300) for nth in range(1, 6)), pause=5), Run()]),
        rules={"target": {"late_arrival_seconds": 301}},
    ),
    "an account gets the number of somebody who has another one, and is listed before it": replace(
        company(
            *PAIR,
            b=account_of(2, 1),
            users=[user("u1", None, email="hand@example.com"), user("u9", "1", email="p1@example.com")],
            steps=[Run(), Edit("users", 0, "emp_id", "1"), Run()],
        ),
        options={"supervisor_readable": True},
    ),
    **{
        f"three trucks exchange their gateways, {how}": trucks(Swap(GATEWAYS[0], ("v1", "v2", "v3"), GATEWAYS[1]), run)
        for how, run in {
            "in peace": Run(),
            "and an answer is lost": Run((Fault("call", 2, "lost, acted"),)),
            "and the process dies when one has set its free": Run((Fault("journal", 3, "killed after"),)),
        }.items()
    },
    "a gateway moves to another truck, and its own gets a new one": trucks(
        Swap(GATEWAYS[0], ("v1", "v2"), GATEWAYS[1], instead=("GW-9",)), Run((Fault("call", 1, "not sent"),))
    ),
    "two trucks exchange their gateways, and SafetyAmp takes each only once": trucks(
        Swap(GATEWAYS[0], ("v1", "v2"), GATEWAYS[1]), unique_serials=True
    ),
    "two exchange their e-mail addresses, and one of them moves and is renamed": company(
        *PAIR,
        steps=[
            Run(),
            Swap(MAILS[0], (1, 2), MAILS[1]),
            Put("viewpoint/employees", 1, {"City": "Sampleton", "FirstName": "Ida"}),
            Run(),
        ],
    ),
}


def guarded(*steps: Step, **rules: int) -> Story:
    """Two in step under guards that let one of them change."""
    pair = (employee(number, **NORA) for number in (1, 2))
    story = company(*pair, a=account_of(1, 2), steps=[Run(), Approve(), Run(), *steps])
    return replace(story, is_guarded=True, rules={"guards": rules})


HELD_AGAIN = {
    "what was approved and pushed is set back and comes up again": guarded(
        *of_both(**OLE), Run(), Approve(), Run(), *of_both(**NORA), Run(), Approve(), Run(), *of_both(**OLE), Run()
    ),
    "the process dies with the answer, and what was approved comes up again": guarded(
        *of_both(**OLE),
        *(Run(), Approve(), Run((Fault("call", 1, "killed after"),)), Run(), Run()),
        *of_both(**NORA),
        *(Run(), Approve(), Run(), *of_both(**OLE), Run()),
    ),
    "the approval expires, and the clock is set back": guarded(
        *of_both(**OLE), Run(), Approve(hours=1), Wait(2), Run(), SetBack(2), Run()
    ),
    "one of two has approved": guarded(*of_both(**OLE), Run(), Approve(), Run(), Approve(), second_person_above=1),
    "what was approved changes": guarded(*of_both(**OLE), Run(), Approve(), *of_both(FirstName="Ida"), Run()),
    "telephones that were exchanged by leave, through a free step, are exchanged back": replace(
        guarded(
            *(PHONE_SWAP, Run(), Approve(), Run()),
            *(PHONE_SWAP, Run(), Approve(), Run()),
            *(PHONE_SWAP, Run()),
        ),
        sources=company(*PHONED, steps=[]).sources,
    ),
    "somebody may give up a number, and nobody may take it": replace(
        guarded(
            *(Swap("viewpoint/employees", (1, 2, 3), "CellPhone", instead=(None,)), Run()),
            *(Approve(nth=0, record=0), Run()),
        ),
        sources=company(*PHONED, employee(3, CellPhone="504-234-5673"), steps=[]).sources,
    ),
}
"""Worlds at whose end guards hold something once more."""


@pytest.mark.parametrize("name", HELD_AGAIN)
def test_what_was_approved_once_is_held_when_it_comes_up_again(name: str) -> None:
    world = World(HELD_AGAIN[name], Stage())
    world.play(HELD_AGAIN[name].steps)

    assert [len(log.plans["employees"].held) for log in world.runs][-1] > 0
    assert broken_promises(HELD_AGAIN[name], Stage()) == []


@pytest.mark.parametrize(
    "aside",
    [
        [Put("viewpoint/departments", "10", {"Description": "Works"})],
        [Put("viewpoint/employees", 3, employee(3))],
        [Run((Fault("call", 1, "not sent"), Fault("call", 2, "rate limited")))],
        [Wait(20)],
        [SetBack(1)],
    ],
    ids=["another table changes", "somebody is hired", "the calls never arrive", "hours pass", "the clock is set back"],
)
def test_an_approval_outlasts_what_does_not_touch_it(aside: list[Step]) -> None:
    story = guarded(*of_both(**OLE), Run(), Approve(), *aside, Run())
    world = World(story, Stage())
    world.play(story.steps)

    assert {user["first_name"] for user in world.safetyamp.listing("users") if user["emp_id"] in "12"} == {"Ole"}
    assert broken_promises(story, Stage()) == []


class _ForEver(Notebook):
    """Approvals are never used up."""

    def intend(self, session_id: int, change: Change, approval: str | None = None) -> int:
        return super().intend(session_id, change)


class _Open(Notebook):
    """Whatever was approved once is."""

    def approved(self, entity: str, logins: int = 1) -> frozenset[str]:
        return frozenset(one.change_hash for one in self.all_approvals if one.entity == entity)


class _Closed(Notebook):
    """Nothing ever is."""

    def approved(self, entity: str, logins: int = 1) -> frozenset[str]:
        return frozenset()


@pytest.mark.parametrize("wrong", [_ForEver, _Open, _Closed])
def test_a_ledger_that_mistakes_approvals_breaks_a_promise(wrong: type[Notebook]) -> None:
    story = HELD_AGAIN["what was approved and pushed is set back and comes up again"]
    stories = [story, HELD_AGAIN["the approval expires, and the clock is set back"]]

    assert any(broken_promises(story, Stage(Notebooks(wrong))) for story in stories)


def test_a_refusal_is_over_when_the_source_is_corrected() -> None:
    """Also when the correct value is what SafetyAmp has: there is nothing left to write then."""
    taken = {"first_name": "Eve", "email": "hidden@example.com", "mobile_phone": "+15042345679"}
    world = World(company(*PHONED, steps=[]), Stage())
    world.play([Run(), Insert("users", taken), Hide(2), Put(PEOPLE, 1, {"CellPhone": "504-234-5679"}), Run()])
    assert world.ledger().failures("employees").keys() == {"1"}

    world.play([Put(PEOPLE, 1, {"CellPhone": "504-234-5671"}), Run()])

    assert (world.runs[-1].planned, world.ledger().failures("employees")) == (0, {})


@pytest.mark.parametrize("name", STORIES)
def test_no_promise_is_broken(name: str) -> None:
    assert broken_promises(STORIES[name], Stage()) == []


# The promises are worth what they notice: each of these declarations is wrong in one thing.

EMPLOYEES = BY_NAME["employees"]


def moved_to_houston(inputs: Inputs, config: SyncConfig) -> list[Desired]:
    """Everybody lives in the wrong city."""
    desired = EMPLOYEES.desire(inputs, config)
    return [replace(record, values={**record.values, "city": "Houston"}) for record in desired]


def never_empty(inputs: Inputs, config: SyncConfig) -> list[Desired]:
    """No source is ever known to say nothing."""
    return [replace(record, empty=frozenset()) for record in EMPLOYEES.desire(inputs, config)]


def without_uniqueness(spec: EntitySpec, name: str) -> EntitySpec:
    fields = [replace(field, unique=None) if field.name == name else field for field in spec.fields]
    return replace(spec, fields=tuple(fields))


@pytest.mark.parametrize(
    "wrong",
    [
        replace(EMPLOYEES, desire=moved_to_houston),
        replace(EMPLOYEES, desire=never_empty),
        without_uniqueness(EMPLOYEES, "email"),
        replace(EMPLOYEES, match=EMPLOYEES.match[1:]),
    ],
    ids=["a wrong value", "nothing cleared", "a value not known to be unique", "people not recognised by their number"],
)
def test_a_wrong_declaration_breaks_a_promise(wrong: EntitySpec) -> None:
    known = user("u1", "001", email="other@example.com", mobile_phone="+15042345671")
    mail = "both@example.com"
    people = employee(1, City="Houma"), employee(2, Email=mail), employee(3, Email=mail)
    story = replace(company(*people, users=[known], steps=[Run()]), rules={"employees": {"clears": ["mobile"]}})

    assert broken_promises(story, Stage()) == []
    assert broken_promises(story, Stage(specs={**BY_NAME, "employees": wrong})) != []


@pytest.mark.parametrize("kind", ["late", "killed, acts late"])
def test_judged_at_once_a_call_that_acts_late_would_make_a_title_stand_twice(kind: str) -> None:
    titled = employee(1, udEmpTitle="Welder"), employee(2, udEmpTitle="Welder")
    steps: list[Step] = [Run((Fault("call", 2, kind, 55),), pause=5), Run()]

    patient = company(*titled, steps=steps)
    hasty = replace(patient, rules={"target": {"late_arrival_seconds": 0}})

    assert broken_promises(patient, Stage()) == []
    assert any("twice" in wrong or "2 times" in wrong for wrong in broken_promises(hasty, Stage()))
