"""The endpoints for machines: they say what is so, also while a part is away; metrics are those of docs/metrics.md."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import time

import dagster as dg
import pytest
import requests
from dagster._daemon.types import DaemonHeartbeat
from open_desk import Visitor, open_desk, serving
from prometheus_client.parser import text_string_to_metric_families

from safetyamp_pipelines.desk.app import build_machines
from safetyamp_pipelines.desk.view import Desk
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.sandbox import Sandbox
from safetyamp_pipelines.settings.loading import load_settings
from safetyamp_pipelines.systems.snapshots.store import snapshot_store

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(safetyamp_\w+)` \| (gauge|counter|summary) \|([^|]*)\|", re.MULTILINE)
PROMISED = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(DOCS.read_text())}


@pytest.fixture
def scraped(visitor: Visitor) -> str:
    answer = visitor.get("/metrics")
    assert answer.status_code == 200
    return answer.text


def test_metrics_have_the_names_kinds_and_labels_that_the_docs_promise(scraped: str) -> None:
    found = {}
    for family in text_string_to_metric_families(scraped):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels}
        found[name] = (family.type, labels)
    assert found.keys() <= PROMISED.keys()
    for name, (kind, labels) in found.items():
        assert kind == PROMISED[name][0], name
        assert labels in (set(), PROMISED[name][1]), name
    elsewhere = {"dagster", "quarantined", "alerts", "daemon", "runs", "run"}  # what only a home of Dagster knows
    absent = {name for name in PROMISED.keys() - found.keys() if name.split("_")[1] not in elsewhere}
    assert absent == set()


def test_metrics_count_what_the_sync_did(scraped: str, synced: Sandbox, synced_desk: Path) -> None:
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(scraped)
        for sample in family.samples
    }
    with Ledger.open(synced.environment["LEDGER_URL"]) as ledger:
        counts = ledger.runs("employees", 1)[0].counts
        calls = sum(total.calls for total in ledger.call_totals() if total.system == "safetyamp")
    assert samples["safetyamp_pushes_total", "done", "employees"] == 1
    # What a rule watches is there before it happens: a counter that appears has not increased.
    assert samples["safetyamp_pushes_total", "employees", "failed"] == 0
    assert samples["safetyamp_calls_total", "429", "safetyamp"] == 0
    assert samples["safetyamp_certificate_expiry_timestamp_seconds", "entra"] > time()
    assert {verdict: samples["safetyamp_records", *sorted(("employees", verdict))] for verdict in counts} == counts
    assert calls == int((synced_desk / "calls").read_text())
    assert samples["safetyamp_waiting_records", "1h", "employees", "rejected"] == counts["rejected"]
    assert samples["safetyamp_snapshot_records", "viewpoint/employees"] == sum(counts.values())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_prometheus_own_linter_has_nothing_to_say(scraped: str) -> None:
    checked = subprocess.run(["promtool", "check", "metrics"], input=scraped, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.fixture
def without_ledger(synced: Sandbox, tmp_path: Path) -> Iterator[str]:
    """The address of machines' endpoints whose ledger has gone away."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    settings = load_settings({**synced.environment, "LEDGER_URL": url}, env_file=None)
    with (
        Ledger.open(url) as ledger,
        serving(build_machines(Desk(settings, ledger, snapshot_store(settings)))) as address,
    ):
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as database:
            database.execute("DROP TABLE ledger_pauses")
        yield address


def test_a_ledger_that_is_away_is_reported_and_hides_nothing_else(without_ledger: str) -> None:
    ready = requests.get(f"{without_ledger}/ready", timeout=60)
    health = requests.get(f"{without_ledger}/health", timeout=60)
    metrics = requests.get(f"{without_ledger}/metrics", timeout=60).text

    assert requests.get(f"{without_ledger}/live", timeout=60).status_code == 200
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert "cannot be used" in ready.json()["ledger"]
    assert (health.status_code, health.json()["status"]) == (503, "failed")
    assert "safetyamp_ledger_up 0.0" in metrics
    assert "safetyamp_paused" not in metrics
    assert "safetyamp_snapshot_timestamp_seconds{" in metrics


def test_health_knows_when_each_system_was_last_used_and_asks_only_when_asked(
    visitor: Visitor, synced: Sandbox
) -> None:
    since = len(synced.requests())
    told = visitor.get("/health").json()
    quiet = len(synced.requests()) - since
    asked = visitor.get("/health", params={"ask": "1"}).json()
    once = len(synced.requests()) - since
    again = visitor.get("/health", params={"ask": "1"}).json()

    assert {"viewpoint", "entra", "samsara", "safetyamp"} <= told["last_use"].keys()
    assert all(use["ok"] for use in told["last_use"].values()), told
    assert (told["status"], quiet) == ("ok", 0)
    assert once > 0
    assert asked["asked"]["answers"]["safetyamp"]["ok"]
    assert again["asked"]["at"] == asked["asked"]["at"]
    assert len(synced.requests()) - since == once


def test_a_machine_needs_no_login_and_a_person_does(synced: Sandbox) -> None:
    proxy = {"DESK_USER_HEADER": "X-User", "DESK_TRUSTED_PROXIES": "127.0.0.1", "DESK_READERS": "*"}
    with open_desk(synced.environment, **proxy) as visitor:
        assert visitor.get("/ready").status_code == 200
        assert visitor.get("/metrics").status_code == 200
        assert visitor.get("/").status_code == 403


def test_where_dagster_has_a_home_its_daemon_counts_and_its_runs_are_figures(
    visitor: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    before = visitor.get("/ready")
    with dg.DagsterInstance.get() as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(time(), "SCHEDULER", "here", []))
        dg.materialize([_an_asset], instance=instance)
    after = visitor.get("/ready")
    families = {family.name: family for family in text_string_to_metric_families(visitor.get("/metrics").text)}

    assert (before.status_code, before.json()["ledger"]) == (503, "ok")
    assert "last heartbeat of Dagster's daemon: never" in before.json()["dagster"]
    assert (after.status_code, after.json()["dagster"]) == (200, "ok")
    assert families["safetyamp_dagster_up"].samples[0].value == 1
    outcomes = {(s.labels["outcome"], s.value) for s in families["safetyamp_runs_last_day"].samples}
    assert outcomes == {("success", 1.0)}
    assert families["safetyamp_daemon_heartbeat_timestamp_seconds"].samples[0].labels == {"daemon": "SCHEDULER"}


@dg.asset
def _an_asset() -> None: ...
