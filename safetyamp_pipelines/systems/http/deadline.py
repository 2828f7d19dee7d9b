"""The time after which a whole conversation is cut, whatever arrives meanwhile."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

TIMEOUTS_A_CALL = 2
"""A call as a whole may take so many time-outs: one until the answer begins, and as much for the rest of it."""


class Deadline:
    """Cuts the connections of the conversation that this thread holds, once its time is over: the time-outs of a socket
    are for each read, and one byte now and then outlasts them.
    """

    _here = threading.local()

    def __init__(self, seconds: float) -> None:
        self.seconds, self.has_passed = seconds, False
        self._watched: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._here.deadline = self
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._here.deadline = None
        with self._lock:
            for watched in self._watched:
                watched.close()
            self._watched.clear()

    @classmethod
    def watch(cls, connected: socket.socket) -> None:
        """Cut this connection, whatever TLS is laid on it, when the deadline of the thread's conversation passes."""
        deadline: Deadline | None = getattr(cls._here, "deadline", None)
        if deadline is not None:
            with deadline._lock:
                # A second handle of the same connection: TLS takes the first one away.
                deadline._watched.append(socket.fromfd(connected.fileno(), connected.family, connected.type))
                if deadline.has_passed:
                    deadline._cut()

    def _pass(self) -> None:
        with self._lock:
            self.has_passed = True
            self._cut()

    def _cut(self) -> None:
        for watched in self._watched:
            with suppress(OSError):
                watched.shutdown(socket.SHUT_RDWR)
