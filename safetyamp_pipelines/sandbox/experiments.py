"""Experiments on a running world, one line each: what would happen in the companies behind it, done through its control
door. `safetyamp-sandbox do leaver` and its like."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import typer

from safetyamp_pipelines.sandbox.faults import SYSTEMS, FaultRule

if TYPE_CHECKING:
    from safetyamp_pipelines.sandbox.faults import FaultBook
    from safetyamp_pipelines.sandbox.safetyamp_state import SafetyAmpState
    from safetyamp_pipelines.sandbox.world_changes import Sources

DOOR_FILE = "control-door"
"""In the folder of a world: the address of its control door."""
MANY = 13
"""Leavers in `mass-leave`: more than the guard lets through."""
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


class Companies(Protocol):
    """What an experiment acts on: a running sandbox."""

    safetyamp: SafetyAmpState
    faults: FaultBook
    sources: Sources


def _staff(box: Companies) -> Iterator[tuple[int, str]]:
    """Number in Viewpoint and id in SafetyAmp of everybody who works there and may log in."""
    users = {row["emp_id"]: row["id"] for row in box.safetyamp.tables()["users"] if row["system_access"]}
    for row in box.sources.world.viewpoint["bPREH"]:
        target_id = users.get(str(row["Employee"]))
        if target_id is not None and row["TermDate"] is None and row["ActiveYN"] == "Y":
            yield row["Employee"], target_id


def _some(box: Companies, number: int) -> list[tuple[int, str]]:
    found = [*islice(_staff(box), number)]
    if len(found) < number:
        raise ValueError(f"SafetyAmp has {len(found)} of the employees of Viewpoint: `safetyamp sync` first")
    return found


def _leaver(box: Companies, _: str) -> str:
    number, _id = _some(box, 1)[0]
    box.sources.terminate(number)
    return f"employee {number} left yesterday. `safetyamp plan employees` switches the account off"


def _mass_leave(box: Companies, _: str) -> str:
    for number, _id in _some(box, MANY):
        box.sources.terminate(number)
    return f"{MANY} employees left yesterday. `safetyamp sync employees` holds them; the desk has them under Plan"


def _break(box: Companies, system: str) -> str:
    if system not in SYSTEMS:
        raise ValueError(f"name one of {', '.join(SYSTEMS)}")
    box.faults.add(FaultRule("status", system=system, times=None))
    return (
        f"{system} answers 503 from now on. `safetyamp sync`: what needs it waits. `safetyamp-sandbox do mend` ends it"
    )


def _mend(box: Companies, _: str) -> str:
    box.faults.clear()
    return "every system answers again"


def _refuse(box: Companies, _: str) -> str:
    number = box.sources.hire("Robin", "Refused")
    mail = next(row["mail"] for row in box.sources.world.entra if row.get("employeeId") == str(number))
    box.safetyamp.hide("users", box.safetyamp.insert("users", first_name="Former", last_name="User", email=mail)["id"])
    return (
        f"employee {number} is new, and a deleted user of SafetyAmp has the e-mail: `safetyamp sync employees`, then "
        "`safetyamp failures list`"
    )


def _hand_edit(box: Companies, _: str) -> str:
    number, target_id = _some(box, 1)[0]
    box.safetyamp.edit("users", target_id, first_name="Edited by hand")
    return f"somebody renamed employee {number} in SafetyAmp. `safetyamp plan employees` shows what the source has"


EXPERIMENTS: dict[str, Callable[[Companies, str], str]] = {
    "leaver": _leaver,
    "mass-leave": _mass_leave,
    "break": _break,
    "mend": _mend,
    "refuse": _refuse,
    "hand-edit": _hand_edit,
}


def experiment(box: Companies, name: str, argument: str = "") -> str:
    """Run it, and say what to look at next. Raises ValueError for an unknown name."""
    if name not in EXPERIMENTS:
        raise ValueError(f"there is no experiment {name}: there are {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name](box, argument)


@app.callback()
def sandbox() -> None:
    """Experiments on the embedded world that `make dev` runs."""


@app.command()
def do(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(EXPERIMENTS)}.")],
    argument: Annotated[str, typer.Argument(help="Of `break`: the system, such as samsara.")] = "",
    home: Annotated[Path, typer.Option(help="Folder of the running world.")] = Path(".dev/world"),
) -> None:
    """Do one thing to the world, and print what to look at next."""
    try:
        door = (home / DOOR_FILE).read_text(encoding="utf-8").strip()
        body: dict[str, Any] = {"do": name, "argument": argument}
        request = Request(f"{door}/experiment", json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - the address is of our own file, on loopback
            typer.echo(json.load(answer)["message"])
    except HTTPError as error:
        typer.echo(json.load(error)["message"], err=True)
        raise typer.Exit(2) from None
    except (OSError, URLError):
        typer.echo(f"no world runs in {home}: start `make dev`, or name its folder with --home", err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    app()
