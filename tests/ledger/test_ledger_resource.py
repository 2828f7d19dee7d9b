"""The ledger in Dagster: opened from the settings on first use, shared by threads, closed with the run, never shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from safetyamp_pipelines.ledger import Ledger, LedgerUnusable
from safetyamp_pipelines.operations.lease import LEASE_SECONDS
from safetyamp_pipelines.operations.opening import open_ledger
from safetyamp_pipelines.resources.systems import LedgerResource, SettingsResource
from safetyamp_pipelines.settings.loading import load_settings


def test_the_settings_name_the_ledger(url: str) -> None:
    with open_ledger(load_settings({"LEDGER_URL": url}, env_file=None)) as ledger:
        assert ledger.sessions() == []


def test_a_ledger_that_cannot_be_opened_says_why_without_the_password() -> None:
    settings = load_settings(
        {"LEDGER_URL": "postgresql://robot:hunter2@127.0.0.1:1/ledger?connect_timeout=2"}, env_file=None
    )
    with pytest.raises(LedgerUnusable, match=r"the ledger ledger on 127\.0\.0\.1 cannot be used") as refused:
        open_ledger(settings)
    assert "hunter2" not in str(refused.value)


def test_a_run_opens_one_ledger_and_closes_it(new_sqlite: Callable[[], str]) -> None:
    # given an asset that asks for the ledger in several threads, and another that asks later in the same run
    opened: list[Ledger] = []

    @dg.asset
    def first(ledger: LedgerResource) -> None:
        with ThreadPoolExecutor(4) as pool:
            opened.extend(pool.map(lambda _: ledger.get(), range(4)))
        opened[0].start_session("run-1", "jobs", "hash", {})

    @dg.asset(deps=[first])
    def second(ledger: LedgerResource) -> None:
        opened.append(ledger.get())
        assert [session.run_id for session in opened[-1].sessions()] == ["run-1"]

    # when they run
    settings = SettingsResource.of({"LEDGER_URL": new_sqlite()})
    done = dg.materialize([first, second], resources={"ledger": LedgerResource(settings=settings)})

    # then they had one ledger, and it holds no connection any more
    assert done.success
    assert len({id(ledger) for ledger in opened}) == 1
    assert "Connections in pool: 0" in opened[0]._engine.pool.status()


def test_others_see_that_a_run_lives_for_as_long_as_it_does(new_sqlite: Callable[[], str]) -> None:
    url, seen = new_sqlite(), list[bool]()
    ahead = timedelta(seconds=LEASE_SECONDS + 60)

    with Ledger.open(url, clock=lambda: datetime.now(UTC) + ahead) as later:

        @dg.asset
        def idle(ledger: LedgerResource) -> None:
            end = time.monotonic() + 60
            while not later.silent_runs() and time.monotonic() < end:
                time.sleep(0.05)
            seen.append(bool(later.silent_runs()))

        settings = SettingsResource.of({"LEDGER_URL": url})
        assert dg.materialize([idle], resources={"ledger": LedgerResource(settings=settings)}).success

        assert seen == [True]
        assert later.silent_runs() == frozenset()


def test_a_run_that_needs_no_ledger_goes_on_without_one(tmp_path: Path) -> None:
    @dg.asset
    def idle(ledger: LedgerResource) -> None:
        assert ledger is not None

    (tmp_path / "file").touch()
    settings = SettingsResource.of({"LEDGER_URL": f"sqlite:///{tmp_path}/file/ledger.db"})
    assert dg.materialize([idle], resources={"ledger": LedgerResource(settings=settings)}).success


def test_the_address_is_in_no_config() -> None:
    settings = SettingsResource.of({"LEDGER_URL": "postgresql://robot:hunter2@host/ledger"})
    resource = LedgerResource(settings=settings)
    assert "hunter2" not in repr(resource)
    assert "hunter2" not in str(
        dg.Definitions(resources={"ledger": resource}).get_repository_def().get_top_level_resources()
    )
