"""Each rule about departments, jobs and vehicles, checked on a record that stands there for it."""

from __future__ import annotations

from typing import Any

import pytest

from oracle import scenario
from oracle.stories import Run, Story, told_once

pytestmark = pytest.mark.xdist_group("scenario")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return told_once("scenario", scenario.tell, tmp_path_factory)


@pytest.fixture
def first(story: Story) -> Run:
    return story.runs[0]


@pytest.fixture
def second(story: Story) -> Run:
    return story.runs[1]


@pytest.fixture
def about(story: Story) -> dict[str, Any]:
    return story.about


def home(run: Run, number: int) -> Any:
    return next(site["ext_id"] for site in run.after["sites"] if site["id"] == run.user(number)["home_site_id"])


def test_job_keys_are_verbatim_but_for_trailing_blanks(first: Run) -> None:
    codes = {site["ext_id"] for site in first.after["sites"]}
    assert {"30001.", "30001", " 30002.", "30003."} <= codes
    assert not {"30002.", "30003.  "} & codes
    assert first.one("sites", ext_id="30001.")["name"] == "30001. - With a dot"
    assert first.one("sites", ext_id="30001")["name"] == "30001 - Without a dot"


def test_people_find_the_site_whose_key_is_exactly_theirs(first: Run, about: dict[str, Any]) -> None:
    homes = [home(first, about[name]) for name in ("dotted", "undotted", "leading")]
    assert homes == ["30001.", "30001", " 30002."]


def test_a_job_without_a_known_department_is_rejected_with_that_reason(first: Run, about: dict[str, Any]) -> None:
    assert first.verdict("jobs", "30004.") == "rejected"
    assert "99" in first.why("jobs", "30004.")
    assert not first.all("sites", ext_id="30004.")
    assert first.user(about["nowhere"])["home_site"]["name"] == "Gulf Home Office"


def test_a_site_has_a_clean_address(first: Run) -> None:
    site = first.one("sites", ext_id="30005.")
    assert (site["zip_code"], site["state"], site["city"]) == ("01234", "LA", "Testburg")
    assert (site["country"], site["name"]) == ("US", "30005. - Padded description")


def test_a_site_without_code_is_found_by_name(first: Run, about: dict[str, Any]) -> None:
    before, after = first.by_id("sites", about["site without code"])
    assert (before["ext_id"], after["ext_id"]) == (None, about["its code"])


def test_without_a_description_the_code_is_the_name(first: Run) -> None:
    assert first.one("sites", ext_id="30008.")["name"] == "30008."
    assert first.one("site_clusters", external_code="78")["name"] == "78"


def test_a_department_without_region_is_rejected(first: Run) -> None:
    assert first.verdict("departments", "77") == "rejected"
    assert not first.all("site_clusters", external_code="77")


def test_departments_of_a_renamed_region_stand_below_the_new_name(second: Run) -> None:
    region = second.one("site_clusters", name="Atlantic Coast")
    assert (region["external_code"], region["depth"]) == ("Atlantic Coast", 1)
    for code in ("13", "22"):
        (before,) = (row for row in second.before["site_clusters"] if row["external_code"] == code)
        after = second.one("site_clusters", external_code=code)
        assert (after["id"], after["parent_cluster_id"]) == (before["id"], region["id"])
    assert {row["id"] for row in second.before["site_clusters"]} <= {row["id"] for row in second.after["site_clusters"]}


def test_a_job_that_moves_to_another_department_keeps_its_site(second: Run, about: dict[str, Any]) -> None:
    before, after = second.by_id("sites", about["moved site"])
    cluster = second.one("site_clusters", id=after["cluster_id"])
    assert cluster["external_code"] == about["other department"]
    assert {name for name in before if before[name] != after[name]} <= {"cluster_id", "updated_at", "updated_by"}


def test_a_closed_jobs_site_stays_as_it_is(second: Run, about: dict[str, Any]) -> None:
    before, after = second.by_id("sites", about["closed site"])
    assert before == after
    assert second.report["entities"]["jobs"]["out_of_scope"] == 1


def test_an_address_that_empties_stays(second: Run, about: dict[str, Any]) -> None:
    before, after = second.by_id("sites", about["emptied site"])
    assert before == after


def test_a_site_renamed_by_hand_gets_its_name_back(second: Run, about: dict[str, Any]) -> None:
    before, after = second.by_id("sites", about["renamed site"])
    assert before["name"] == "A person's name"
    assert after["name"].startswith(f"{after['ext_id']} - ")


@pytest.mark.parametrize(("name", "serial"), [("by plate", "1VINPLATE00000001"), ("by gateway", "1VINGATE000000001")])
def test_an_asset_is_found_by_plate_or_gateway(first: Run, about: dict[str, Any], name: str, serial: str) -> None:
    asset = first.one("assets", serial=serial)
    assert (asset["id"], asset["name"]) == (about[f"asset {name}"], name)


@pytest.mark.parametrize(
    ("name", "serial"),
    [
        ("swapped without vin", "GNEW000001"),
        ("swapped with vin", "1VINSWAP000000001"),
        ("exchanging", "GEXCH00002"),
        ("exchanged", "GEXCH00001"),
    ],
)
def test_a_new_gateway_keeps_the_asset(second: Run, about: dict[str, Any], name: str, serial: str) -> None:
    asset = second.one("assets", name=name)
    assert (asset["id"], asset["serial"]) == (about[f"asset {name}"], serial)


def test_a_vehicle_that_vanished_leaves_its_asset(second: Run, about: dict[str, Any]) -> None:
    before, after = second.by_id("assets", about["asset vanishing"])
    assert before == after


def test_a_listed_vehicle_is_active(second: Run, about: dict[str, Any]) -> None:
    before, after = second.by_id("assets", about["asset decommissioned by hand"])
    assert (before["status"], after["status"]) == (0, 1)


def test_a_lost_plate_blanks_nothing_and_no_driver_any_more_is_no_user_any_more(
    second: Run, about: dict[str, Any]
) -> None:
    _, after = second.by_id("assets", about["asset newcomer"])
    assert (after["code"], after["current_user"]) == ("KEEP-1", None)


@pytest.mark.parametrize("name", ["external", "zeros", "noted"])
def test_a_driver_is_known_by_external_id_or_notes(first: Run, about: dict[str, Any], name: str) -> None:
    asset, driver = first.one("assets", name=name), about[f"driver {name}"]
    assert asset["current_user_id"] == driver["id"]
    home_site = first.user(driver["number"])["home_site_id"]
    assert asset["site_id"] in (home_site, first.one("sites", ext_id="HQ-YARD")["id"])
    assert asset["asset_type"]["site_id"] == asset["site_id"]


@pytest.mark.parametrize("name", ["phoned", "digits"])
def test_a_telephone_number_in_the_notes_is_no_driver(first: Run, name: str) -> None:
    asset = first.one("assets", name=name)
    assert (asset["current_user_id"], asset["site"]["ext_id"]) == (None, "HQ-YARD")


@pytest.mark.parametrize(
    ("name", "site"), [("yard", "South Yard"), ("office", "Gulf Home Office"), ("yard and office", "South Yard")]
)
def test_without_a_driver_a_tag_tells_the_site(first: Run, name: str, site: str) -> None:
    assert first.one("assets", name=name)["site"]["name"] == site


def test_a_tag_that_leads_nowhere_leads_to_the_default_site(first: Run) -> None:
    assert first.one("assets", name="nowhere")["site"]["ext_id"] == "HQ-YARD"


def test_a_site_without_vehicle_type_leads_to_the_default_pair(first: Run, about: dict[str, Any]) -> None:
    asset = first.one("assets", name="newcomer")
    assert (asset["site"]["ext_id"], asset["asset_type"]["site_id"]) == ("HQ-YARD", asset["site_id"])
    assert asset["current_user"]["emp_id"] == str(about["newcomer"])


def test_the_last_run_writes_nothing(story: Story) -> None:
    assert (story.runs[-1].report["writes"], story.runs[-1].writes) == (0, [])
