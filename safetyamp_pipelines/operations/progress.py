"""Progress of a run: a log line now and then, or a bar on a terminal. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from safetyamp_pipelines.settings.logs import get_logger
from safetyamp_pipelines.sync.model.plan import Verdict

LOG_EVERY = 50


class ProgressReporter(Protocol):
    """Reports every table read, and gives each push a callback for (changes settled, changes planned)."""

    def read(self, table: str, rows: int, calls: int) -> None:
        """A table was read whole: so many rows, with so many calls."""
        ...

    def of(self, entity: str, calls: Callable[[], int]) -> Callable[[int, int], None]:
        """The callback of one push; `calls` counts the calls of the run to SafetyAmp so far."""
        ...

    def waits(self, text: str) -> None:
        """The run waits: what for, and how long."""
        ...

    def pushed(self, entity: str, verdicts: Sequence[Verdict]) -> None:
        """A push ended, whole or stopped, with these verdicts."""
        ...


class LogProgress:
    """A line in the log for every table, every fiftieth change and the last one."""

    def read(self, table: str, rows: int, calls: int) -> None:
        """One line."""
        get_logger(__name__).info("read", table=table, rows=rows, calls=calls)

    def of(self, entity: str, calls: Callable[[], int]) -> Callable[[int, int], None]:  # noqa: ARG002 - what it is given, it does not log
        """The callback of one push."""
        logger = get_logger(__name__)

        def report(settled: int, planned: int) -> None:
            if settled % LOG_EVERY == 0 or settled == planned:
                logger.info("push", settled=settled, planned=planned, calls=calls())

        return report

    def waits(self, text: str) -> None:
        """One line."""
        get_logger(__name__).warning("waits", why=text)

    def pushed(self, entity: str, verdicts: Sequence[Verdict]) -> None:
        """Nothing: the push logs its own end (`push_step.py`)."""
