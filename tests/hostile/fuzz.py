"""Random answers, settings and rules: every parser of what comes from outside raises the project's errors or none."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any

from safetyamp_pipelines.jira.field_mapping import read_mapping
from safetyamp_pipelines.settings.loading import load_settings, timing_settings
from safetyamp_pipelines.settings.model import Settings, variable_of
from safetyamp_pipelines.sync.model.clean import CLEANERS, clean
from safetyamp_pipelines.sync.model.errors import SyncError
from safetyamp_pipelines.sync.model.patterns import searched
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.model.text import displayed
from safetyamp_pipelines.sync.rules.yaml_file import SyncConfigError, parse_sync_config
from safetyamp_pipelines.systems.http.answers import Call, Reply, answer_of, rest_of

PIECES = (
    *("", " ", "\0", "\x1b[2J", "\ud83d", "\u202e", "\ufffd", "é", "０１", "1" * 500, "-1", "1e999", "NaN", "0.5"),
    *("true", "null", "[]", "{}", "[" * 200, "{" * 50, '"', "\\", "://", "@", ":", "/", ",", ";", "%", "#", "?", "\n"),
    *("http", "https://", "sqlite:///", "mssql+pyodbc://", "postgresql://", "abfs://", "tcp:", "[::1]", "localhost"),
    *("!!int x", "&a [*a]", "2026-13-45", "- ", "guards:", "employees: ", "deactivations", "a" * 300, "\t", "0" * 40),
)
HEADERS = ("Retry-After", "Content-Type", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit")
PARTS = (
    "a",
    "1",
    ".",
    "\\s",
    "\\d",
    "*",
    "+",
    "?",
    "{4,6}",
    "{0,99}",
    "|",
    "^",
    "$",
    "(?:",
    ")",
    "(",
    "[ab]",
    "(?i)",
    "x",
)


def text_of(dice: random.Random) -> str:
    """A text that somebody could send or write."""
    return "".join(dice.choice(PIECES) for _ in range(dice.randint(0, 6)))


def value_of(dice: random.Random, depth: int = 3) -> Any:
    """A JSON value, right or not."""
    kind = dice.randrange(8 if depth else 6)
    if kind == 6:
        return [value_of(dice, depth - 1) for _ in range(dice.randrange(3))]
    if kind == 7:
        return {text_of(dice): value_of(dice, depth - 1) for _ in range(dice.randrange(3))}
    return (None, True, dice.randint(-(10**30), 10**30), float("nan"), dice.random() * 10**300, text_of(dice))[kind]


def an_answer(dice: random.Random) -> None:
    """An HTTP answer of any status, headers and body."""
    body = json.dumps(value_of(dice)) if dice.random() < 0.5 else text_of(dice)
    encoded = body.encode(dice.choice(["utf-8", "utf-16", "utf-32", "utf-8"]), "surrogatepass")
    cut = encoded[: dice.randint(0, len(encoded))] if dice.random() < 0.3 else encoded
    headers = {name: text_of(dice) for name in HEADERS if dice.random() < 0.3}
    rest_of(headers, now=0)
    answer_of(
        Call("Test", "GET", "/x"), Reply(dice.choice([200, 204, 301, 400, 401, 422, 429, 503]), headers, cut), now=0
    )


def a_snapshot(dice: random.Random) -> None:
    """Records of a table, cleaned by every cleaner, displayed."""
    records = [{"id": dice.randrange(9), text_of(dice): value_of(dice), "x": value_of(dice)} for _ in range(3)]
    snapshot = Snapshot.certified("t", records, key=lambda row: row["id"], pages=1, read_at="2026-11-20T10:00:00Z")
    for cleaner in CLEANERS:
        for value in clean([row["x"] for row in snapshot.verified().records], cleaner).values:
            displayed(value).encode()


def some_settings(dice: random.Random) -> None:
    """Variables of any text; whatever they hold, the definitions load."""
    names = [variable_of(name) for name in Settings.model_fields if not name.startswith("azure_key_vault")]
    environ = {name: text_of(dice).replace("\0", "") for name in dice.sample(names, 5)}
    timing_settings(environ, env_file=None)
    load_settings(environ, env_file=None).masked()


def a_pattern(dice: random.Random) -> None:
    """A pattern of sync.yaml on a text made to keep it busy, in bounded time."""
    pattern = "(" + "".join(dice.choice(PARTS) for _ in range(dice.randint(1, 12))) + ")"
    rules = parse_sync_config(json.dumps({"vehicles": {"driver_notes_pattern": pattern}}))
    before = time.process_time()
    searched(rules.vehicles.driver_notes_pattern, dice.choice("a1 x") * 5000 + dice.choice(PIECES))
    assert time.process_time() - before < 5, pattern


def a_mapping(dice: random.Random) -> None:
    """A mapping of Jira's fields of any text."""
    read_mapping(text_of(dice))


def some_rules(dice: random.Random) -> None:
    """A sync.yaml of any text."""
    parse_sync_config(text_of(dice))


PARSERS: tuple[Callable[[random.Random], None], ...] = (
    an_answer,
    a_snapshot,
    some_settings,
    some_rules,
    a_pattern,
    a_mapping,
)


def fuzz(seed: int, parser: Callable[[random.Random], None]) -> None:
    """One try; whatever it raises but the project's own errors is a fault of ours."""
    try:
        parser(random.Random(seed))
    except (SyncError, SyncConfigError):
        return
