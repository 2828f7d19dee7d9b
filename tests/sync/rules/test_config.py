"""sync.yaml: every key has a default, every mistake is told with its place, and the committed files fit the model."""

from __future__ import annotations

import json
import time
from importlib import resources
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.sync.rules.config import SyncConfig
from safetyamp_pipelines.sync.rules.yaml_file import SyncConfigError, parse_sync_config

PACKAGE = resources.files("safetyamp_pipelines")


def problems(text: str) -> dict[str, str]:
    with pytest.raises(SyncConfigError) as caught:
        parse_sync_config(text)
    return dict(caught.value.problems)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "jobs:\n", "{}"])
def test_a_file_that_says_nothing_means_every_default(text: str) -> None:
    assert parse_sync_config(text) == SyncConfig()


def test_the_packaged_file_documents_every_key_at_its_default() -> None:
    text = (PACKAGE / "sync.yaml").read_text(encoding="utf-8")

    assert parse_sync_config(text) == SyncConfig()
    assert yaml.safe_load(text) == SyncConfig().model_dump(mode="json")


def test_the_committed_schema_is_the_models() -> None:
    committed = json.loads((PACKAGE / "sync.schema.json").read_text(encoding="utf-8"))

    assert committed == SyncConfig.model_json_schema(), (
        "write json.dumps(SyncConfig.model_json_schema(), indent=2) to it"
    )


def test_the_schema_accepts_the_packaged_file_and_refuses_unknown_keys() -> None:
    schema = SyncConfig.model_json_schema()
    data = yaml.safe_load((PACKAGE / "sync.yaml").read_text(encoding="utf-8"))

    jsonschema.validate(data, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, "target": {"update_methods": {"user": "PUT"}}}, schema)


def test_every_key_is_described_for_the_person_who_edits_it() -> None:
    definitions = SyncConfig.model_json_schema()["$defs"]

    undescribed = [
        f"{section}.{key}"
        for section, definition in definitions.items()
        for key, field in definition["properties"].items()
        if section != "UpdateMethods" and "description" not in field
    ]
    assert undescribed == []


def test_the_columns_and_fields_that_it_adds_are_known_by_name() -> None:
    fields = [{"column": "udShirt", "field": "nickname"}, {"column": "Suffix", "field": "extension", "personal": False}]
    config = SyncConfig.model_validate({"employees": {"custom_fields": fields, "only": {"udUnion": 1, "PRDept": 10}}})

    assert list(config.personal_names()) == ["nickname", "udShirt"]
    assert config.site_columns("viewpoint/employees") == {
        "udUnion": "employees.only.udUnion",
        "udShirt": "employees.custom_fields.0.column",
    }


def test_one_key_changes_only_itself() -> None:
    config = parse_sync_config("target: {update_methods: {users: PUT}}\nviewpoint: {tables: {employees: PREH}}\n")

    assert config.target.update_methods["users"] == "PUT"
    assert config.target.update_methods["sites"] == "PUT"
    assert config.viewpoint.tables.employees == "PREH"
    assert config.viewpoint.tables.departments == "bPRDP"
    assert config.employees == SyncConfig().employees


def test_a_configuration_cannot_be_changed_after_it_was_checked() -> None:
    config = SyncConfig()

    with pytest.raises(ValidationError):
        config.companies = (2,)
    with pytest.raises(ValidationError):
        config.employees.default_role = "Company Administrator"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("companies: []", "companies", "must not be empty"),
        ("companies: [1, 1]", "companies", "once"),
        ("companies: 1", "companies", "must be a list"),
        ("companies: ['1']", "companies.0", "integer"),
        ("companies: [true]", "companies.0", "integer"),
        ("companies: [256]", "companies.0", "less than or equal to 255"),
        ("company: [1]", "company", "is not a known key here; known are companies, company_rules"),
        ("jobs: {timezone: Mars/Olympus}", "jobs.timezone", "America/Chicago"),
        ("jobs: {timezone: ../../etc/passwd}", "jobs.timezone", "IANA time zone"),
        ("jobs: {country: usa}", "jobs.country", "^[A-Z]{2}$"),
        ("jobs: {open_statuses: []}", "jobs.open_statuses", "must not be empty"),
        ("employees: {default_phone_region: ZZ}", "employees.default_phone_region", "two-letter region"),
        ("employees: {default_role: ' '}", "employees.default_role", "must not be empty"),
        (
            "employees: {policies: {email: theirs}}",
            "employees.policies.email",
            "'source', 'initial', 'fill' or 'merge'",
        ),
        ("employees: {policies: {'e mail': fill}}", "employees.policies.e mail", "plain name"),
        ("viewpoint: {tables: {employees: dbo.bPREH}}", "viewpoint.tables.employees", "plain name"),
        ("viewpoint: {columns: {title: 'x]; drop'}}", "viewpoint.columns.title", "plain name"),
        ("viewpoint: {tables: {employee: bPREH}}", "viewpoint.tables.employee", "known are employees, departments"),
        ("viewpoint: {isolation_level: READ UNCOMMITTED}", "viewpoint.isolation_level", "SNAPSHOT"),
        ("viewpoint: {query_timeout_seconds: 0}", "viewpoint.query_timeout_seconds", "greater than 0"),
        ("vehicles: {driver_notes_pattern: '(' }", "vehicles.driver_notes_pattern", "must be a regular expression"),
        (r"vehicles: {driver_notes_pattern: '\d+' }", "vehicles.driver_notes_pattern", "exactly one group"),
        (r"vehicles: {driver_notes_pattern: '(\d)(\d)' }", "vehicles.driver_notes_pattern", "exactly one group"),
        (r"vehicles: {tag_department_pattern: '(\w+)' }", "vehicles.tag_department_pattern", "named department"),
        ("vehicles: {default_asset_type: Truck}", "vehicles", "default_site"),
        ("vehicles: {tag_sites: [a]}", "vehicles.tag_sites", "section of keys and values"),
        ("departments: {osha_establishment: 2}", "departments.osha_establishment", "must be 0 or 1"),
        ("target: {update_methods: {users: POST}}", "target.update_methods.users", "'PUT' or 'PATCH'"),
        ("target: {refusals_share: 20}", "target.refusals_share", "less than or equal to 1"),
        ("target: {refusals_share: .nan}", "target.refusals_share", "must be"),
        ("vehicles: {default_site: 24113.}", "vehicles.default_site", "put quotes"),  # a job key; YAML reads a number
        ("jobs: {country: NO}", "jobs.country", "put quotes"),  # YAML reads Norway as false
        ("jobs: {1: US}", "jobs.1", "keys are names"),
        ("employees: {only: {PRDept: []}}", "employees.only.PRDept", "must not be empty"),
        ("employees: {only: {PRDept: null}}", "employees.only.PRDept", "must be a list"),
        ("employees: {except: {'PR Dept': 1}}", "employees.except.PR Dept", "plain name"),
        ("employees: {excepted: {}}", "employees.excepted", "only, except, custom_fields"),
        ("jobs: {only: {entra/users.mail: x}}", "jobs.only.entra/users.mail", "are not read from"),
        ("employees: {only: {entra/users.upn: x}}", "employees.only.entra/users.upn", "there are accountEnabled"),
        ("vehicles: {only: {plate: x}}", "vehicles.only.plate", "names no column of samsara/vehicles"),
        (
            "employees:\n  custom_fields:\n  - {column: Suffix, field: email}",
            "employees.custom_fields.0.field",
            "under policies (line 3)",
        ),
        (
            "employees: {custom_fields: [{column: Suffix, field: nikname}]}",
            "employees.custom_fields.0.field",
            "there are activated, avatar_location, bypass_sso",
        ),
        (
            "employees: {custom_fields: [{column: Suffix, field: nickname, cleaner: upper}]}",
            "employees.custom_fields.0.cleaner",
            "'text', 'key'",
        ),
        ("jobs: {custom_fields: [{column: udTax}]}", "jobs.custom_fields.0.field", "Field required (line 1)"),
        (
            "vehicles:\n  custom_fields:\n  - column: colour\n    field: description",
            "vehicles.custom_fields.0.column",
            "(line 3)",
        ),
        ("company_rules: {2: {job_prefix: W-}}", "company_rules.2", "is not among the companies"),
        ("owners: {default: 'hr at example'}", "owners.default", "must be one e-mail address"),
        ("owners: {entities: {people: hr@example.com}}", "owners.entities.people", "there are departments"),
        ("entra: 3", "entra", "section of keys and values"),
        ("- 1", "the file", "section of keys and values"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_is_wanted(text: str, place: str, words: str) -> None:
    assert words in problems(text)[place]


def test_all_mistakes_are_told_at_once() -> None:
    found = problems("companies: []\njobs: {timezone: Nowhere, country: x}\nvehicle: {}\n")

    assert set(found) == {"companies", "jobs.timezone", "jobs.country", "vehicle"}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("jobs:\n  country: [", "line 2", "is not YAML"),
        ("jobs: {}\nentra: {}\njobs: {}\n", "line 3", "jobs is given twice"),
        ("jobs:\n  country: US\n  country: CA\n", "line 3", "country is given twice"),
    ],
)
def test_text_that_is_no_yaml_is_told_with_its_line(text: str, line: str, words: str) -> None:
    assert words in problems(text)[line]


@pytest.mark.parametrize("text", ["? [a]\n: 1\n", "!!python/object/apply:os.getcwd []", "\x00", "a: !x b"])
def test_odd_yaml_is_refused_and_never_executed(text: str) -> None:
    with pytest.raises(Refusal):
        parse_sync_config(text)


def test_an_error_does_not_repeat_the_value_it_found() -> None:
    """A token pasted into the wrong file must not travel on into logs."""
    with pytest.raises(SyncConfigError) as caught:
        parse_sync_config("jobs: {country: s3cret-token}\nemployees: {timezone: s3cret-token}")

    assert "s3cret" not in str(caught.value)


def test_plans_can_name_the_configuration_by_its_content() -> None:
    def content(text: str) -> Any:
        return parse_sync_config(text).model_dump(mode="json")

    assert content("companies: [1, 2]\nentra: {}") == content("entra: {expand_manager: true}\ncompanies: [1, 2]")
    assert content("companies: [1, 2]") != content("companies: [2, 1]")


@pytest.mark.parametrize(
    "text",
    [
        "guards: 2026-13-45",
        "guards: !!int x",
        "[" * 900 + "]" * 900,
        "? [a]\n: 1",
        "&a [*a]",
        "a: &a {b: *a}",
        "!!set x",
        "a: &a0 {k0: x, k1: y}\n"
        + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 9)),
        "a: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20)),
        "".join(f"k{n}: &k{n} {n}\n" for n in range(20_000)),
        "jobs: {country: " + "x" * 1_000_000 + "}",
        "{a: " * 3000 + "}" * 3000,
    ],
    ids=range(12),
)
def test_odd_yaml_is_one_clear_error_within_moments_and_no_traceback(text: str) -> None:
    before = time.process_time()
    with pytest.raises(SyncConfigError) as caught:
        parse_sync_config(text)

    assert time.process_time() - before < 10
    assert caught.value.problems
    assert len(str(caught.value)) < 20_000
