"""A PostgreSQL that is frozen, restarted, locked, read-only or of another encoding: every wait ends, and the refusal
says which it was."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from postgresql_server import Postgresql, administer
from sqlalchemy import create_engine, event, make_url, text

from safetyamp_pipelines.ledger import Ledger, LedgerUnusable
from safetyamp_pipelines.ledger.database import ledger_address
from safetyamp_pipelines.ledger.watched import GRACE_SECONDS, TICK_SECONDS
from safetyamp_pipelines.systems.http.budget_postgres import PostgresBucket

SLACK = 10.0
"""Seconds that a busy machine may take over everything that is not waiting."""


@pytest.fixture
def impatient(own_postgresql: Postgresql) -> str:
    """A new database, and a URL with time-outs of its own."""
    url = make_url(own_postgresql.database(f"ledger_{uuid.uuid4().hex}"))
    options = "-c statement_timeout=1s -c lock_timeout=500ms"
    return url.update_query_dict({"options": options, "connect_timeout": "2"}).render_as_string(False)


@pytest.fixture
def opened(impatient: str) -> Iterator[Ledger]:
    with Ledger.open(impatient) as ledger:
        yield ledger


def seconds_of(waiting: Callable[[], object], said: str) -> float:
    """How long it takes until the refusal comes that says this."""
    begun = time.monotonic()
    with pytest.raises(LedgerUnusable, match=said):
        waiting()
    return time.monotonic() - begun


def test_a_frozen_server_is_given_up_and_used_again_when_it_thaws(
    own_postgresql: Postgresql, impatient: str, opened: Ledger
) -> None:
    def frozen_between_statements() -> None:
        with opened._writing() as db:
            db.execute(text("SELECT 1"))
            own_postgresql.freeze()
            db.execute(text("SELECT 1"))

    try:
        asked = seconds_of(frozen_between_statements, "said nothing for 6 seconds: is it frozen")
        again = seconds_of(opened.pause_state, "timeout expired")
        anew = seconds_of(lambda: Ledger.open(impatient), "timeout expired")
    finally:
        own_postgresql.thaw()

    assert 6 <= asked < 1 + GRACE_SECONDS + TICK_SECONDS + SLACK
    assert max(again, anew) < 2 + SLACK
    assert opened.pause_state() is None
    assert opened.pause("Kim", "an audit").who == "Kim"


def test_the_budget_waits_for_no_frozen_server(own_postgresql: Postgresql, impatient: str) -> None:
    """It freezes when the second call is booked, before the connection is back in its pool."""
    bucket, booked = PostgresBucket(impatient, "key"), list[str]()

    @event.listens_for(bucket._engine, "after_cursor_execute")
    def freeze_after(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        booked.extend([statement] if "booked" in statement else [])
        if len(booked) == 2:
            own_postgresql.freeze()

    try:
        assert bucket.claim(10, 60.0).number == 1
        begun = time.monotonic()
        assert bucket.claim(10, 60.0).number == 2
        assert time.monotonic() - begun < SLACK
        seconds_of(lambda: bucket.claim(10, 60.0), "timeout expired|is it frozen")
    finally:
        own_postgresql.thaw()
        bucket.close()


def test_one_frozen_connection_is_replaced_by_another(own_postgresql: Postgresql, opened: Ledger) -> None:
    with opened._engine.connect() as connection:
        backend = connection.scalar(text("SELECT pg_backend_pid()"))
    process = next(one for one in own_postgresql.processes() if one.pid == backend)
    process.suspend()
    try:
        assert opened.pause_state() is None
    finally:
        process.resume()


def test_a_restart_costs_the_statement_that_it_ends_and_no_other(own_postgresql: Postgresql, opened: Ledger) -> None:
    def restarted() -> None:
        with opened._writing() as db:
            db.execute(text("SELECT 1"))
            own_postgresql.restart()
            db.execute(text("SELECT 1"))

    seconds_of(restarted, "administrator command|closed the connection")
    assert opened.pause("Kim", "an audit").who == "Kim"


def test_a_locked_table_is_waited_for_as_long_as_the_url_says(impatient: str, opened: Ledger) -> None:
    holder = create_engine(ledger_address(impatient))
    with holder.begin() as connection:
        connection.execute(text("LOCK TABLE ledger_pauses"))
        assert seconds_of(opened.pause_state, "lock timeout") < SLACK
    holder.dispose()

    assert opened.pause_state() is None


@pytest.mark.parametrize(
    ("options", "lock", "statement"), [(None, "30s", "2min"), ("-c lock_timeout=7s", "7s", "2min")]
)
def test_options_of_the_url_are_beside_ours_and_stand(
    postgres_url: str, options: str | None, lock: str, statement: str
) -> None:
    url = make_url(postgres_url)
    search_path = str(url.query["options"])
    ours = url.update_query_dict({"options": f"{search_path} {options}"}) if options else url

    with Ledger.open(ours) as ledger, ledger._engine.connect() as connection:
        found = [connection.scalar(text(f"SHOW {name}")) for name in ("lock_timeout", "statement_timeout")]
        schema = connection.scalar(text("SHOW search_path"))

    assert (found, f"-csearch_path={schema}") == ([lock, statement], search_path)


def test_a_database_that_cannot_hold_every_text_is_refused_when_it_is_opened(own_postgresql: Postgresql) -> None:
    url = own_postgresql.database("western", "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")

    seconds_of(lambda: Ledger.open(url), "western on .* keeps texts as LATIN1.* ENCODING 'UTF8'")


def test_a_read_only_database_is_refused_to_who_writes_and_read_by_who_asks(impatient: str, opened: Ledger) -> None:
    name = str(make_url(impatient).database)
    administer(impatient, f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    seconds_of(lambda: Ledger.open(impatient), "is read-only .*name the server that takes writes")
    with Ledger.open(impatient, create=False, writes=False) as asking:
        assert asking.pause_state() is None
        seconds_of(lambda: asking.pause("Kim", "an audit"), "is read-only .*name the server that takes writes")
