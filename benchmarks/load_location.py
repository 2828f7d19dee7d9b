"""What loading the code location costs: its import against importing Dagster, each in a fresh process.

    python benchmarks/load_location.py [rounds]

Loading is what `dagster definitions validate`, a code server and every run do first: open an instance, import the
definitions and resolve their jobs and asset graph. The peer of that is a location that declares nothing. Seconds are
CPU seconds, which a busy machine changes less than those on the wall; a process waits for next to nothing here.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

ROUNDS = 7
BARE = "import dagster; dagster.DagsterInstance.ephemeral()"
OURS = f"{BARE}; import safetyamp_pipelines.definitions"
EMPTY_LOADED = f"{BARE}; dagster.Definitions().get_repository_def()"
OURS_LOADED = f"{BARE}; from safetyamp_pipelines.definitions import defs; defs.get_repository_def()"
PROGRAMS = (BARE, OURS, EMPTY_LOADED, OURS_LOADED)


def seconds_of(program: str) -> float:
    """CPU seconds of a new process that runs the program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Take turns, so that what disturbs one disturbs all, and print medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    taken: dict[str, list[float]] = {program: [] for program in PROGRAMS}
    for program in PROGRAMS:  # the first time, Python compiles
        seconds_of(program)
    for _ in range(rounds):
        for program in PROGRAMS:
            taken[program].append(seconds_of(program))
    bare, ours, empty, loaded = (statistics.median(taken[program]) for program in PROGRAMS)
    print(f"CPU seconds of a process, medians of {rounds} rounds")
    print(f"dagster, an instance            {bare:5.2f}")
    print(f"import our definitions          {ours:5.2f}   {ours - bare:+.2f}   ratio {ours / bare:.2f}")
    print(f"load an empty location          {empty:5.2f}")
    print(f"load ours, with jobs and graph  {loaded:5.2f}   {loaded - empty:+.2f}   ratio {loaded / empty:.2f}")


if __name__ == "__main__":
    main()
