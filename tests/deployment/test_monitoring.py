"""Rules and dashboards use the metrics that are documented, and each alert has its line in the runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployment.charts import CHART, of_kind, render

ROOT = Path(__file__).parents[2]
RULES = CHART / "files" / "rules.yaml"
CASES = sorted(Path(__file__).parent.glob("*.test.yaml"))
DASHBOARDS = sorted((CHART / "files" / "dashboards").glob("*.json"))

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not here (Debian's package prometheus)"
)


def documented() -> dict[str, tuple[str, set[str]]]:
    """Metric → its type and labels, from the table in docs/metrics.md."""
    rows = re.findall(
        r"^\| `(safetyamp_\w+)` \| (\w+) \|([^|]*)\|", (ROOT / "docs/metrics.md").read_text(encoding="utf-8"), re.M
    )
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def _exposed() -> dict[str, set[str]]:
    """Series → labels: a summary is exposed as its sum and its count."""
    found: dict[str, set[str]] = {}
    for name, (kind, labels) in documented().items():
        for suffix in ("_sum", "_count") if kind == "summary" else ("",):
            found[name + suffix] = labels
    return found


def _alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _expressions() -> dict[str, str]:
    found = {rule["alert"]: rule["expr"] for rule in _alerts()}
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            found |= {f"{path.stem}/{panel['title']}/{one['refId']}": one["expr"] for one in panel["targets"]}
    return found


def test_metrics_follow_the_naming_of_prometheus() -> None:
    metrics = documented()

    assert len(metrics) > 30
    for name, (kind, labels) in metrics.items():
        assert kind in ("gauge", "counter", "summary"), name
        assert name.endswith("_total") == (kind == "counter"), name
        assert not labels & {"quantile", "le", "job_name", "key", "name", "email"}, name
        assert not re.search(r"_(minutes|hours|days|ms|milliseconds)(_|$)", name), name
        if kind == "summary":
            assert name.endswith("_seconds"), name


def test_every_expression_names_metrics_and_labels_that_exist() -> None:
    exposed = _exposed()
    for place, expression in _expressions().items():
        names = re.findall(r"\bsafetyamp_\w+", re.sub(r'"[^"]*"', '""', expression))
        assert names, place
        assert set(names) <= set(exposed), place
        known = set().union(*(exposed[name] for name in names))
        matched = set(re.findall(r"[{,]\s*(\w+)\s*=~?", expression))
        grouped = {each.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for each in group.split(",")}
        assert matched | grouped <= known, place


def test_every_metric_is_watched_by_a_rule_or_seen_on_a_dashboard() -> None:
    used = set(re.findall(r"\bsafetyamp_\w+", " ".join(_expressions().values())))

    assert set(_exposed()) - used <= {"safetyamp_push_last_attempt_timestamp_seconds"}


def test_replicas_of_the_desk_do_not_multiply_an_alert() -> None:
    """Two replicas expose each series twice; an alert on the bare series would be raised twice."""
    for rule in _alerts():
        outer = re.sub(r"\s+", " ", rule["expr"])
        assert re.search(r"\b(max|min|sum|absent)\b ?(by|\()", outer), rule["alert"]


def test_each_alert_has_severity_words_and_its_line_in_the_runbook() -> None:
    runbook = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    documented_alerts = set(re.findall(r'<a id="(\w+)"></a>`(\w+)`', runbook))

    for rule in _alerts():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"RUNBOOK_URL#{rule['alert'].lower()}"
    assert documented_alerts == {(rule["alert"].lower(), rule["alert"]) for rule in _alerts()}


def test_chart_links_the_alerts_to_the_runbook_of_the_installation() -> None:
    (document,) = of_kind(render("prod", monitoring={"runbookUrl": "https://wiki.example/run"}), "PrometheusRule")

    rules = [rule for group in document["spec"]["groups"] for rule in group["rules"]]
    assert len(rules) == len(_alerts())
    assert all(rule["annotations"]["runbook_url"].startswith("https://wiki.example/run#") for rule in rules)


@needs_promtool
def test_promtool_raises_each_alert_when_it_should_and_not_before(tmp_path: Path) -> None:
    for file in (RULES, *CASES):
        shutil.copy(file, tmp_path)

    for command in (["check", "rules", "rules.yaml"], ["test", "rules", *(file.name for file in CASES)]):
        done = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried() -> None:
    cases = [case for file in CASES for case in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]]

    raised = {each["alertname"] for case in cases for each in case["alert_rule_test"] if each["exp_alerts"]}
    assert raised == {rule["alert"] for rule in _alerts()}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboard_is_whole(path: Path) -> None:
    dashboard = json.loads(path.read_text(encoding="utf-8"))

    panels = dashboard["panels"]
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["datasource"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        assert len({each["refId"] for each in panel["targets"]}) == len(panel["targets"]), panel["title"]


def test_chart_gives_grafana_both_dashboards() -> None:
    documents = of_kind(render("prod"), "ConfigMap")

    found = {name: text for one in documents for name, text in one["data"].items() if name.endswith(".json")}
    assert {name: json.loads(text)["title"] for name, text in found.items()} == {
        path.name: json.loads(path.read_text(encoding="utf-8"))["title"] for path in DASHBOARDS
    }
    assert len(DASHBOARDS) == 2
