"""Ctrl-C and SIGTERM during a push: they stop it between two calls, not in the midst of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interrupts_deferred() -> Iterator[Callable[[], bool]]:
    """Hold signals back inside; the function returns whether one came. On leaving, what came is delivered as a SIGINT
    to the handler that was installed before. Outside the main thread signals do not come, and nothing is done."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    received: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: received.append(number)) for number in SIGNALS}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(signal.SIGINT)
