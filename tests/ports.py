"""A port for a server that has to be told its own, and cannot take port 0."""

import random
import socket
from contextlib import suppress

BELOW_EPHEMERAL = range(20000, 32000)
"""Ports no kernel gives out for port 0: a free one is not taken by another test's server before ours binds it."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    for port in random.SystemRandom().sample(BELOW_EPHEMERAL, 100):
        with socket.socket() as listening, suppress(OSError):
            listening.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no free port found between {BELOW_EPHEMERAL.start} and {BELOW_EPHEMERAL.stop}")
