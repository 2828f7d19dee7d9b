"""Jira on the desk: the dashboard's read API, pages, and the way from a field to a saved mapping, behind its access."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from jira_world import NOBODY, Jiras
from open_desk import PROXY, Visitor, open_desk, text_of

from safetyamp_pipelines.sandbox import JiraSpec, Sandbox
from safetyamp_pipelines.settings.loading import load_settings


@pytest.fixture(scope="module")
def jiras() -> Iterator[Jiras]:
    with Sandbox(NOBODY, jira=JiraSpec(issues=40)) as box:
        jiras = Jiras(box, load_settings(box.environment, env_file=None))
        with jiras.session() as session:
            session.refresh_fields()
        jiras.cloud.edit(10_001, summary="<b>A pump</b>", status="Done")
        jiras.read("issues", "history")
        yield jiras


@pytest.fixture
def visitor(jiras: Jiras) -> Iterator[Visitor]:
    with open_desk(jiras.box.environment) as one:
        yield one


def test_the_read_api_gives_what_the_dashboard_shows(visitor: Visitor) -> None:
    page = visitor.get("/api/jira/issues?limit=70&instance=cloud").json()
    rest = visitor.get(f"/api/jira/issues?limit=70&instance=cloud&after={page['next']}").json()
    assert (len(page["issues"]), len(rest["issues"]), rest["next"]) == (70, 10, None)
    assert visitor.get("/api/jira/issues?q=%3Cb%3EA").json()["issues"][0]["issue_id"] == 10_001
    one = visitor.get("/api/jira/issues/OPS-1?instance=cloud").json()
    assert one["came_from"]["summary"]["from"] == "summary (Summary)"
    assert visitor.get("/api/jira/issues/OPS-1").status_code == 404
    assert visitor.get("/api/jira/issues/NONE-1").json()["error"].startswith("no issue")
    assert visitor.get("/api/jira/stats").json()["all"]["created"] == 160
    assert visitor.get("/api/jira/history").json()["reads"][0]["kind"] == "history"
    assert len(visitor.get("/api/jira/status").json()["partitions"]) == 4


def test_the_pages_show_it_and_let_nothing_of_an_issue_become_markup(visitor: Visitor) -> None:
    assert "cloud|OPS" in text_of(visitor.get("/jira"))
    found = visitor.get("/jira/issues?q=pump&instance=cloud")
    assert "<b>A pump" not in found.text
    assert "Next page" in found.text
    issue = visitor.get("/jira/issues/10001?instance=cloud")
    assert "<b>A pump" not in issue.text
    assert "<b>A pump</b>" in text_of(issue)
    assert "Done" in text_of(issue)


def test_from_a_field_to_a_saved_mapping(visitor: Visitor) -> None:
    assert "customfield_10101" in text_of(visitor.get("/jira/mapping?term=order"))
    assert "customfield_20503" in text_of(visitor.get("/jira/mapping?column=story_points"))
    new = {"columns": {"summary": {"type": "text", "field": "summary"}, "area": {"type": "text", "field": "nowhere"}}}
    looked = visitor.post("/jira/mapping", {"text": yaml.safe_dump(new)}, page="/jira/mapping")
    assert "adds the column area" in text_of(looked)
    assert "area: cloud has no field nowhere" in text_of(looked)
    assert "is no YAML" in text_of(visitor.post("/jira/mapping", {"text": "columns: ["}, page="/jira/mapping"))
    refused = visitor.post("/jira/mapping/save", {"text": yaml.safe_dump(new), "reason": "x"}, page="/jira/mapping")
    assert refused.status_code == 409
    new["columns"]["area"]["field"] = "labels"
    saved = visitor.post("/jira/mapping/save", {"text": yaml.safe_dump(new), "reason": "areas"}, page="/jira/mapping")
    assert "Saved." in text_of(saved)
    assert "areas" in text_of(saved)


def test_a_reader_may_look_and_not_decide_and_where_there_is_no_jira_there_is_no_page(jiras: Jiras) -> None:
    with open_desk(jiras.box.environment, **PROXY) as visitor:
        visitor.user = "reader"
        assert visitor.get("/api/jira/status").status_code == 200
        assert visitor.post("/jira/pause", {"reason": "x"}, page="/jira").status_code == 403
        visitor.user = "stranger"
        assert visitor.get("/api/jira/issues").status_code == 403
    without = {name: text for name, text in jiras.box.environment.items() if name != "JIRA_INSTANCES"}
    with open_desk(without) as visitor:
        assert visitor.get("/jira").status_code == 404
        assert visitor.get("/api/jira/issues").status_code == 404
        assert "Jira" not in visitor.get("/state").text
