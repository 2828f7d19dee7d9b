"""What a set of processes and a PostgreSQL hold at a moment, read from /proc and the database's own tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, text


@dataclass(frozen=True)
class Sample:
    """Figures after one sync. Memory is proportional (PSS) over all processes, in MB; sizes of tables in KB."""

    seconds: float
    memory: float
    largest_process: float
    handles: int
    processes: int
    connections: int
    ledger: float
    events: float


def sample(home: Path, database: Engine, seconds: float) -> Sample:
    """The figures of the processes whose DAGSTER_HOME this is, and of their database."""
    pids = list(processes_of(home))
    memory = [size for pid in pids if (size := memory_of(pid)) is not None]
    return Sample(
        seconds=round(seconds, 1),
        memory=round(sum(memory), 1),
        largest_process=round(max(memory, default=0.0), 1),
        handles=sum(handles_of(pid) for pid in pids),
        processes=len(memory),
        connections=int(_one(database, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")),
        ledger=_one(database, _SIZE.format("ledger\\_%")),
        events=_one(database, _SIZE.format("%event\\_logs")),
    )


_SIZE = (
    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) / 1024 FROM pg_class c "
    "WHERE c.relkind = 'r' AND c.relname LIKE '{}'"
)


def _one(database: Engine, query: str) -> float:
    with database.connect() as connection:
        return float(connection.execute(text(query)).scalar_one())


def processes_of(home: Path) -> Iterator[int]:
    """The processes that were started with this DAGSTER_HOME."""
    wanted = f"DAGSTER_HOME={home}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)


def memory_of(pid: int) -> float | None:
    """Megabytes, memory that several processes share divided among them; None when it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return None


def handles_of(pid: int) -> int:
    """Open files and sockets."""
    with suppress(OSError):
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return 0
