"""A process of its own that pushes through a ledger; the tests start it, line it up with others, and kill it.

Usage: pusher.py URL NAME PAIRS. It prints `ready`, waits for a line on its input, opens the ledger, prints a keyed
hash, and settles PAIRS changes. With PAIRS = 0 it never settles: it intends until it is killed, printing each change
id once the ledger has taken the intent.
"""

from __future__ import annotations

import itertools
import sys

from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sync.model.plan import Action, Change


def say(what: object) -> None:
    """One line to the test, at once."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main(url: str, name: str, pairs: int) -> None:
    say("ready")
    sys.stdin.readline()
    with Ledger.open(url) as ledger:
        say(ledger.keyed_hash("value"))
        session = ledger.start_session(name, "employees", "hash", {"create": pairs})
        for number in range(pairs) if pairs else itertools.count():
            key = f"{name}-{number}"
            change_id = ledger.intend(
                session, Change(Action.CREATE, key, key, None, {"emp_id": (None, key)}, "new", "hash")
            )
            if pairs:
                ledger.answer(change_id, "done", target_id=key, pushed={"emp_id": key})
            else:
                say(change_id)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
