"""A small sample of the day of `make load`, in the control room of all these tests."""

from __future__ import annotations

import pytest
from load.stories import measured
from room import ControlRoom

from safetyamp_pipelines.sandbox import Sandbox

pytestmark = pytest.mark.xdist_group("control room")


def test_a_day_is_measured_and_ends_with_nothing_left_to_do(room: ControlRoom, box: Sandbox) -> None:
    samples = measured(room, box, syncs=2)

    assert len(samples) == 2
    for one in samples:
        assert one.processes >= 3
        assert one.memory > one.largest_process > 50
        assert one.connections > 0
        assert one.ledger > 0
        assert one.events > 0
