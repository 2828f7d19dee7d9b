"""Jira on the desk: the dashboard's read API, pages, and the way from a field to a saved mapping, behind its access."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from jira_world import NOBODY, Jiras
from open_desk import PROXY, Visitor, open_desk, text_of

from safetyamp_pipelines.sandbox import JiraSpec, Sandbox
from safetyamp_pipelines.settings.loading import load_settings

API = [f"/api/jira/{route}" for route in ("issues", "issues/10001?instance=cloud", "history", "stats", "status")]


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
    assert "is not YAML" in text_of(visitor.post("/jira/mapping", {"text": "columns: ["}, page="/jira/mapping"))
    refused = visitor.post("/jira/mapping/save", {"text": yaml.safe_dump(new), "reason": "x"}, page="/jira/mapping")
    assert refused.status_code == 409
    new["columns"]["area"]["field"] = "labels"
    saved = visitor.post("/jira/mapping/save", {"text": yaml.safe_dump(new), "reason": "areas"}, page="/jira/mapping")
    assert "Saved." in text_of(saved)
    assert "areas" in text_of(saved)


def test_held_issues_are_approved_one_by_one(jiras: Jiras, visitor: Visitor) -> None:
    ids = [issue.id for issue in jiras.data_center.issues.values() if issue.project == "TO"]
    for one in ids:
        jiras.data_center.delete(one)
    jiras.read("presence")
    page = visitor.get("/jira")
    assert "Held: data_center|TO" in text_of(page)
    held = next(one["held"] for one in visitor.get("/api/jira/status").json()["partitions"] if one["held"])
    for wrong in ({"set": held["hash"]}, {"set": "0" * 64, "key": held["keys"][:1]}):
        assert visitor.post("/jira/held", {**wrong, "reason": "x"}, page="/jira").status_code == 409
    chosen = {"set": held["hash"], "key": held["keys"][:2], "reason": "moved away"}
    assert "Approved." in text_of(visitor.post("/jira/held", chosen, page="/jira"))
    jiras.read("presence")
    assert len([row for row in jiras.rows("data_center").values() if row["gone_at"]]) == 2


def test_a_reader_may_look_and_not_decide_and_where_there_is_no_jira_there_is_no_page(jiras: Jiras) -> None:
    with open_desk(jiras.box.environment, **PROXY) as visitor:
        visitor.user = "reader"
        assert [visitor.get(path).status_code for path in API] == [200] * 5
        for path in ("/jira/pause", "/jira/held", "/jira/mapping/save"):
            assert visitor.post(path, {"reason": "x"}, page="/jira").status_code == 403
        visitor.user = "stranger"
        assert [visitor.get(path).status_code for path in API] == [403] * 5
    without = {name: text for name, text in jiras.box.environment.items() if name != "JIRA_INSTANCES"}
    with open_desk(without) as visitor:
        assert [visitor.get(path).status_code for path in ("/jira", *API)] == [404] * 6
        assert "Jira" not in visitor.get("/state").text
