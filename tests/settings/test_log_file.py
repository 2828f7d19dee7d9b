"""LOG_FILE: lines of several processes, none lost at a rotation, readable by the owner alone."""

from __future__ import annotations

import json
import logging
import multiprocessing
from pathlib import Path

from safetyamp_pipelines.settings.log_file import KEPT, RotatedFile
from safetyamp_pipelines.settings.logs import configure_logging, get_logger

LINES, PROCESSES = 300, 3


def _write(path: Path, process: int) -> None:
    handler = RotatedFile(path, largest=20_000)
    for number in range(LINES):
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, f"{process}.{number}" + "." * 50, None, None))
    handler.close()


def _files(path: Path) -> list[Path]:
    return [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, KEPT + 1))]


def test_processes_share_the_file_and_lose_no_line_when_it_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "safetyamp.log"
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_write, args=(path, number)) for number in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    kept = [one for one in _files(path) if one.exists()]
    lines = [line.rstrip(".") for one in kept for line in one.read_text(encoding="utf-8").splitlines()]
    assert 2 < len(kept) <= KEPT + 1
    assert sorted(lines) == sorted(f"{process}.{number}" for process in range(PROCESSES) for number in range(LINES))


def test_old_files_go_and_only_the_owner_may_read(tmp_path: Path) -> None:
    path = tmp_path / "safetyamp.log"
    handler = RotatedFile(path, largest=10)
    for number in range(20):
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, f"line number {number}", None, None))
    handler.close()

    kept = [one.read_text(encoding="utf-8").strip() for one in _files(path)]
    assert kept == [f"line number {number}" for number in range(19, 13, -1)]
    assert not path.with_name("safetyamp.log.6").exists()
    assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}


def test_lines_go_to_the_file_redacted_as_on_the_console(tmp_path: Path) -> None:
    path = tmp_path / "safetyamp.log"
    configure_logging("json", "INFO", file=path)
    try:
        get_logger("safetyamp_pipelines.test").info("read_whole", rows=3, email="a@b.example")
    finally:
        configure_logging()

    line = json.loads(path.read_text(encoding="utf-8"))
    assert (line["event"], line["rows"], line["email"]) == ("read_whole", 3, "[hidden]")
