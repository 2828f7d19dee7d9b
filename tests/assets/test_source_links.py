"""Links to the source: every asset leads to the line of its function, and a plan or a push to its declaration too."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from safetyamp_pipelines.assets.entities import PLANS, PUSHES
from safetyamp_pipelines.assets.source_links import ROOT, with_source_links
from safetyamp_pipelines.assets.sources import entra_users, viewpoint_tables
from safetyamp_pipelines.definitions import build_defs
from safetyamp_pipelines.settings.loading import timing_settings


def references(assets: dg.AssetsDefinition, git_url: str) -> list[str]:
    """Where the links of the first asset lead."""
    (linked,) = with_source_links([assets], git_url, "main")
    return [one.source for one in next(iter(linked.specs)).metadata["dagster/code_references"].code_references]


@pytest.mark.parametrize(
    ("repository", "tree"),
    [
        ("https://github.com/company/safety", "https://github.com/company/safety/tree/main"),
        ("https://gitlab.com/company/safety", "https://gitlab.com/company/safety/-/tree/main"),
    ],
)
@pytest.mark.parametrize("assets", [PLANS[3], PUSHES[3]])
def test_a_plan_and_a_push_lead_to_git_to_their_code_and_their_declaration(assets, repository: str, tree: str) -> None:
    code, declaration = references(assets, repository)

    assert code.startswith(f"{tree}/safetyamp_pipelines/assets/entities.py#L")
    assert declaration == f"{tree}/safetyamp_pipelines/sync/entities/employees.py#L1"


def test_a_link_leads_to_the_line_of_the_decorator() -> None:
    (link,) = references(entra_users, "https://github.com/company/safety")
    path, _, line = link.removeprefix("https://github.com/company/safety/tree/main/").partition("#L")

    assert Path(ROOT, path).read_text(encoding="utf-8").splitlines()[int(line) - 1] == "@dg.asset("


def test_every_asset_of_the_project_can_be_linked_and_keeps_its_other_metadata() -> None:
    declared = list(build_defs().resolve_asset_graph().assets_defs)

    linked = with_source_links(declared, "https://github.com/company/safety", "main")

    specs = {spec.key.to_user_string(): spec for one in linked for spec in one.specs}
    assert set(specs) == {spec.key.to_user_string() for one in declared for spec in one.specs}
    assert all(spec.metadata["dagster/code_references"].code_references for spec in specs.values())
    assert "field_mapping" in specs["plan/jobs"].metadata


def test_without_a_repository_nothing_is_linked() -> None:
    assert with_source_links([viewpoint_tables], None, "main") == [viewpoint_tables]


def test_the_repository_is_a_setting_and_a_wrong_one_keeps_nothing_from_loading() -> None:
    right = timing_settings({"GIT_URL": "https://github.com/company/safety/", "GIT_BRANCH": "live"}, env_file=None)
    wrong = timing_settings({"GIT_URL": "git@github.com:company/safety"}, env_file=None)

    assert (right.git_url, right.git_branch) == ("https://github.com/company/safety", "live")
    assert (wrong.git_url, wrong.git_branch) == (None, "main")
    assert [problem.variable for problem in wrong.problems] == ["GIT_URL"]
