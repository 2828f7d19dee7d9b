"""Which process holds something, in words for people that another process can check: is it certainly gone, or here?"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

_NAMED = re.compile(r"(?P<host>\S+) \(process (?P<pid>\d+), begun (?P<mark>\S+)\)")


def this_process() -> str:
    """Machine, number and beginning of this process."""
    return f"{socket.gethostname()} (process {os.getpid()}, begun {_mark(os.getpid()) or 'here'})"


def is_gone(words: str) -> bool:
    """Whether the process that these words name has ended for certain."""
    return _runs_here(words) is False


def is_here(words: str) -> bool:
    """Whether the process that these words name runs on this machine for certain."""
    return _runs_here(words) is True


def _runs_here(words: str) -> bool | None:
    """None for a process of another machine or container, and where the system does not say when a process began."""
    found, own = _NAMED.search(words), _mark(os.getpid())
    if found is None or own is None or found["host"] != socket.gethostname():
        return None
    if found["mark"].partition("-")[2] != own.partition("-")[2]:
        return None  # a container beside this one, with numbers of its own
    return _mark(int(found["pid"])) == found["mark"]


def _mark(pid: int) -> str | None:
    """What no later process of the same number has: when it began, in ticks since the machine did, and whose numbers
    are meant. None where Linux does not show it, or there is no such process."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        if state in "ZX":  # killed; its parent has not looked yet
            return None
        return f"{fields[18]}-{Path('/proc/self/ns/pid').readlink().name[5:-1]}"
    except OSError:
        return None
