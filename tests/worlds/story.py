"""What a random world consists of: plain values that, printed, are Python again. Nothing happens here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]

CALL_FAULTS = (
    "not sent",  # the connection was never made
    "rate limited",  # 429 until patience ended
    "lost, not acted",  # 5xx, a time-out or a cut, before SafetyAmp acted
    "lost, acted",  # the same, after it
    "late",  # a time-out, and SafetyAmp acts some seconds afterwards
    "empty answer",  # SafetyAmp acted and answered nothing
    "fatal",  # the circuit is open
    "auth",  # 401
    "killed before",  # the process dies before SafetyAmp acts
    "killed after",  # … and after it
    "killed, acts late",  # the process dies, and SafetyAmp acts some seconds afterwards
)
READ_FAULTS = ("read error", "killed before")
JOURNAL_FAULTS = ("killed before", "killed after")


@dataclass(frozen=True)
class Edit:
    """A person changes one field of the `nth` record of a SafetyAmp table (counted round and round). The value of a
    reference is a position in the table it leads to."""

    table: str
    nth: int
    field: str
    value: Any


@dataclass(frozen=True)
class Insert:
    """A person adds a record to SafetyAmp."""

    table: str
    fields: Row


@dataclass(frozen=True)
class Hide:
    """A person deletes the `nth` user of SafetyAmp, who keeps the e-mail address taken."""

    nth: int


@dataclass(frozen=True)
class Put:
    """The source says this of a record now; columns that are not given stay as they are."""

    table: str
    key: Any
    columns: Row


@dataclass(frozen=True)
class Drop:
    """The source no longer lists a record."""

    table: str
    key: Any


@dataclass(frozen=True)
class Swap:
    """Source records exchange a value: each gets the next one's, the last the first one's, or `instead` where that is
    given (the value has moved on, and the last has got another one)."""

    table: str
    keys: tuple[Any, ...]
    column: str
    instead: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Wait:
    """Time passes, in which nobody syncs."""

    hours: int


@dataclass(frozen=True)
class SetBack:
    """The clock of the machine is set back."""

    hours: int


Human = Edit | Insert | Hide


@dataclass(frozen=True)
class Fault:
    """The `nth` (from 1) call, read or journal entry of a run goes wrong. `seconds` is how late a late one acts."""

    on: str
    nth: int
    kind: str
    seconds: int = 0


@dataclass(frozen=True)
class Meanwhile:
    """While a run goes on, just before its `nth` call, a person is at work in SafetyAmp."""

    nth: int
    human: Human


@dataclass(frozen=True)
class Run:
    """One sync of everything. The next one begins `pause` seconds after it. `unread` are sources that fail for it."""

    faults: tuple[Fault, ...] = ()
    meanwhile: tuple[Meanwhile, ...] = ()
    pause: int = 900
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Approve:
    """Somebody approves a set of changes that a guard held in the last run, by its hash: the `nth` set, counted round
    and round, or of that set one record alone. None approves every set."""

    nth: int | None = None
    record: int | None = None
    hours: int = 24
    login: str = "ann"


Step = Put | Drop | Swap | Edit | Insert | Hide | Wait | SetBack | Approve | Run


@dataclass(frozen=True)
class Story:
    """A whole world: what everybody says at first, what happens then, and the rules in force.

    `sources` maps a snapshot to its rows by key, `safetyamp` a table to its rows as SafetyAmp lists them. `rules` are
    sections of sync.yaml, `options` fields of the sandbox's TargetOptions. Unless `is_guarded` the guards let all pass.
    """

    sources: Mapping[str, Mapping[Any, Row]]
    safetyamp: Mapping[str, list[Row]]
    steps: tuple[Step, ...] = ()
    rules: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    is_guarded: bool = False
    entities: tuple[str, ...] = ("departments", "jobs", "titles", "employees", "vehicles")
