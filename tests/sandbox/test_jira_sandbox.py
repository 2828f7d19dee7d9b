"""The sandbox's Jiras answer as Jira does where it hurts: removed paths, short pages, tokens, cut logs, old times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from safetyamp_pipelines.sandbox import JiraSpec, Sandbox, WorldSpec


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(WorldSpec(employees=1, jobs=1, vehicles=1), jira=JiraSpec(issues=6)) as box:
        yield box


def ask(box: Sandbox, kind: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
    about = next(one for one in json.loads(box.environment["JIRA_INSTANCES"]) if one["name"] == kind)
    session = requests.Session()
    if "user" in about:
        session.auth = (about["user"], about["token"])
    else:
        session.headers["Authorization"] = f"Bearer {about['token']}"
    method = "GET" if body is None else "POST"
    return session.request(method, f"{about['url']}/rest/api/{path}", json=body, timeout=60)


def test_a_cloud_searches_by_tokens_alone_and_gives_ids_alone_unless_asked(box: Sandbox) -> None:
    assert ask(box, "cloud", "3/search?jql=project=OPS").status_code == 410
    box.jiras["jira_cloud"].options.most_per_page = 4
    body: dict[str, Any] = {"jql": 'project = "OPS" ORDER BY id ASC', "fields": ["summary"], "maxResults": 100}
    first = ask(box, "cloud", "3/search/jql", body).json()
    assert (len(first["issues"]), first["isLast"], "total" in first) == (4, False, False)
    rest = ask(box, "cloud", "3/search/jql", {**body, "nextPageToken": first["nextPageToken"]}).json()
    assert (len(rest["issues"]), rest["isLast"], "nextPageToken" in rest) == (2, True, False)
    wrong = ask(box, "cloud", "3/search/jql", {**body, "fields": ["id"], "nextPageToken": first["nextPageToken"]})
    assert wrong.status_code == 400
    assert set(ask(box, "cloud", "3/search/jql", {"jql": body["jql"]}).json()["issues"][0]) == {"id", "key", "self"}


@pytest.mark.parametrize("jql", ["ORDER BY id", "project = TO", 'project = "NONE"', "id > 5", "colour = 1"])
def test_a_query_that_jira_would_refuse_is_refused(box: Sandbox, jql: str) -> None:
    for kind, path in (("cloud", "3/search/jql"), ("data_center", "2/search")):
        answer = ask(box, kind, path, {"jql": jql})
        assert answer.status_code == 400
        assert answer.json()["errorMessages"]


def test_one_field_has_another_id_and_another_shape_in_each(box: Sandbox) -> None:
    for state in box.jiras.values():
        state.edit(10_001, sprint=[{"id": 5, "name": "S5, [b]", "state": "active"}], description="a\nb")
    cloud = ask(box, "cloud", "3/issue/10001").json()["fields"]
    data_center = ask(box, "data_center", "2/issue/10001").json()["fields"]
    assert cloud["customfield_10020"][0]["name"] == "S5, [b]"
    assert "state=ACTIVE,name=S5, [b]" in data_center["customfield_20020"][0]
    assert cloud["description"]["type"] == "doc"
    assert data_center["description"] == "a\nb"
    assert cloud["updated"].endswith("+0000")


def test_a_changelog_in_a_listing_is_cut_and_a_cloud_gives_it_whole_elsewhere(box: Sandbox) -> None:
    for state in box.jiras.values():
        state.options.most_histories = 2
        for number in range(5):
            state.edit(10_003, summary=f"change {number}")
    cut = ask(box, "data_center", "2/issue/10003?expand=changelog").json()["changelog"]
    assert (len(cut["histories"]), cut["total"]) == (2, 5)
    whole = ask(box, "cloud", "3/changelog/bulkfetch", {"issueIdsOrKeys": ["10003"]}).json()
    assert len(whole["issueChangeLogs"][0]["changeHistories"]) == 5


def test_what_people_do_can_be_done_at_the_control_door(box: Sandbox) -> None:
    def change(do: str, **args: Any) -> requests.Response:
        body = {"system": "jira_cloud", "do": do, "args": args}
        return requests.post(f"{box.control_url}/change", json=body, timeout=60)

    made = change("create", project="OPS", summary="by a person").json()
    assert change("move", issue=made, project="TO").status_code == 200
    moved = ask(box, "cloud", f"3/issue/{made}").json()
    assert moved["key"].startswith("TO-")
    assert moved["fields"]["summary"] == "by a person"
    change("hide_project", project="TO")
    assert ask(box, "cloud", f"3/issue/{made}").status_code == 404
    change("show_project", project="TO")
    change("delete", issue=made)
    assert ask(box, "cloud", f"3/issue/{made}").status_code == 404
    assert change("explode").status_code == 400


def test_a_wrong_login_is_refused_as_plain_text_and_a_limit_says_when_to_come_back(box: Sandbox) -> None:
    state = box.jiras["jira_data_center"]
    state.options.token, right = "another", state.options.token
    assert ask(box, "data_center", "2/myself").status_code == 401
    state.options.token, state.options.calls = right, 1
    answers = [ask(box, "data_center", "2/myself") for _ in range(2)]
    state.options.calls = None
    assert [answer.status_code for answer in answers] == [200, 429]
    assert float(answers[1].headers["Retry-After"]) > 0
