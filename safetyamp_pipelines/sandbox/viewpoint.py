"""Writes the payroll and job-cost tables of a world into a SQLite file. Changes to it live in world_changes.py."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from safetyamp_pipelines.sandbox.viewpoint_schema import KEYS, TABLES
from safetyamp_pipelines.sandbox.world_model import World


def create_table_sql(table: str) -> str:
    """The statement that creates a Vista table with its columns, types, collation and unique key."""
    columns = ", ".join(f'"{name}" {declared}' for name, declared in TABLES[table].items())
    return f'CREATE TABLE "{table}" ({columns}, UNIQUE ({", ".join(KEYS[table])}))'


def write_viewpoint(world: World, path: Path | str) -> None:
    """Write all tables of the world to a new SQLite file, in one transaction; FileExistsError when it exists."""
    target = Path(path)
    if target.exists():
        raise FileExistsError(f"{target} exists; the sandbox writes a Viewpoint file of its own")
    connection = sqlite3.connect(target, isolation_level=None)
    try:
        # A write-ahead log lets a reader keep its consistent view while the sources change under it.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN")
        for table, columns in TABLES.items():
            connection.execute(create_table_sql(table))
            places = ", ".join(f":{name}" for name in columns)
            connection.executemany(f'INSERT INTO "{table}" VALUES ({places})', world.viewpoint[table])
        connection.execute("COMMIT")
    finally:
        connection.close()
