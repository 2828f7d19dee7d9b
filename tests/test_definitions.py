"""The shape of the project, frozen: typos in keys and selections load silently in Dagster."""

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from safetyamp_pipelines.definitions import build_defs
from safetyamp_pipelines.resources.keys import CAUSE_TAG, PLAN_CHECKS, POOL, SYNC_TAG, asset_key
from safetyamp_pipelines.sync.entities.registry import ENTITIES, asset_name

VIEWPOINT = {f"viewpoint/{table}" for table in ("employees", "departments", "jobs", "recent_jobs")}
SAMSARA = {"samsara/vehicles", "samsara/drivers"}
OBSERVED = {
    f"safetyamp_observed/{table}"
    for table in ("site_clusters", "sites", "user_titles", "roles", "users", "asset_types", "assets")
}
PLANS = {f"plan/{entity}" for entity in ("departments", "jobs", "titles", "employees", "vehicles")}
PUSHES = {f"safetyamp/{table}" for table in ("site_clusters", "sites", "user_titles", "users", "assets")}
SYNCED = VIEWPOINT | SAMSARA | OBSERVED | PLANS | PUSHES | {"entra/users"}
REPORTS = {"reports/daily_changes"}
EVERYTHING = SYNCED | REPORTS


def observed(*tables: str) -> set[str]:
    return {f"safetyamp_observed/{table}" for table in tables}


JOBS = {
    "sync_all": SYNCED,
    "plan_all": SYNCED - PUSHES,
    "report_daily": REPORTS,
    "sync_departments": VIEWPOINT | observed("site_clusters") | {"plan/departments", "safetyamp/site_clusters"},
    "sync_jobs": VIEWPOINT | observed("site_clusters", "sites") | {"plan/departments", "plan/jobs", "safetyamp/sites"},
    "sync_titles": VIEWPOINT | observed("user_titles") | {"plan/titles", "safetyamp/user_titles"},
    "sync_employees": VIEWPOINT
    | {"entra/users"}
    | observed("site_clusters", "sites", "user_titles", "roles", "users")
    | (PLANS - {"plan/vehicles"})
    | {"safetyamp/users"},
    "sync_vehicles": VIEWPOINT | SAMSARA | OBSERVED | {"entra/users"} | PLANS | {"safetyamp/assets"},
}
OPERATOR_JOBS = {
    "pause_syncing": {"pause"},
    "resume_syncing": {"resume"},
    "retry_failures": {"retry"},
    "approve_plan": {"approve"},
    "refuse_changes": {"refuse"},
    "decide_record": {"decide"},
    "link_record": {"link"},
    "undo_session": {"undo"},
    "forget_old_runs": {"forget"},
}
"""Jobs that hold no asset, with their steps."""
SCHEDULES = {
    "report_daily_schedule": "20 0 * * *",
    "sync_all_schedule": "*/15 * * * *",
    "sync_departments_schedule": "7 * * * *",
    "sync_jobs_schedule": "17 * * * *",
    "sync_titles_schedule": "27 * * * *",
    "sync_employees_schedule": "37 * * * *",
    "sync_vehicles_schedule": "47 * * * *",
    "forget_old_runs_schedule": "40 3 * * *",
}
SENSORS = {
    "retries": {"sync_departments", "sync_jobs", "sync_titles", "sync_employees", "sync_vehicles"},
    "source_changes": {"sync_all"},
    "alerts": set(),
    "owner_digests": set(),
    "dead_runs": set(),
}


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs()


@pytest.fixture(scope="module")
def graph(defs: dg.Definitions):
    return defs.resolve_asset_graph()


def names(keys) -> set[str]:
    return {key.to_user_string() for key in keys}


def test_the_assets_are_those_of_the_design_and_none_is_a_typo(graph):
    assert names(graph.get_all_asset_keys()) == EVERYTHING
    assert names(graph.external_asset_keys) == set()


def test_every_plan_is_pure_it_reads_snapshots_and_earlier_plans_only(graph):
    for key in graph.get_all_asset_keys():
        if key.path[0] == "plan":
            assert names(graph.get(key).parent_keys) & PUSHES == set()


def test_a_step_waits_for_what_it_cannot_do_without_alone_and_the_lineage_shows_all_that_a_plan_rests_on(graph):
    shown = {"employees": ["roles"], "vehicles": ["roles", "asset_types"]}
    for spec in ENTITIES:
        own = f"safetyamp_observed/{spec.table}"
        plan = graph.get(asset_key(f"plan/{spec.name}"))
        assert names(plan.assets_def.node_keys_by_input_name.values()) == {spec.key.table, own}
        rests_on = [f"safetyamp_observed/{table}" for table in shown.get(spec.name, ())]
        assert names(plan.parent_keys) == {*spec.sources, own, *rests_on}
        assert names(graph.get(asset_key(asset_name(spec))).parent_keys) == {f"plan/{spec.name}", own}


def test_priorities_put_snapshots_first_then_the_plans_then_the_pushes_each_in_the_order_of_the_entities(graph):
    found = {
        key.to_user_string(): int(made.op.tags.get("dagster/priority", 0))
        for made in graph.assets_defs
        for key in made.keys
    }
    plans = [found[f"plan/{spec.name}"] for spec in ENTITIES]
    pushes = [found[asset_name(spec)] for spec in ENTITIES]
    assert sorted([0, *plans, *pushes], reverse=True) == [0, *plans, *pushes]
    assert {found[name] for name in EVERYTHING - PLANS - PUSHES} == {0}


def test_a_report_follows_the_pushes_and_can_be_made_again_for_any_days_without_a_way_to_safetyamp(defs, graph):
    report = graph.get(dg.AssetKey(["reports", "daily_changes"]))
    assert names(report.parent_keys) == PUSHES
    assert report.backfill_policy == dg.BackfillPolicy.single_run()
    (assets,) = [made for made in graph.assets_defs if report.key in made.keys]
    assert assets.required_resource_keys == {"sync_settings", "ledger", "io_manager"}
    node = defs.resolve_job_def("report_daily").nodes[0]
    assert node.definition.required_resource_keys == {"sync_settings", "ledger"}


def test_what_is_checked_of_each_asset_and_what_stops_the_run(graph):
    found = {(key.asset_key.to_user_string(), key.name): graph.get_check_spec(key) for key in graph.asset_check_keys}
    snapshots = VIEWPOINT | SAMSARA | OBSERVED | {"entra/users"}
    expected = {
        *((table, name) for table in snapshots for name in ("certificate", "schema", "row_count")),
        *((plan, name) for plan in PLANS for name in (*PLAN_CHECKS, "guards")),
        *((table, name) for table in PUSHES for name in ("failure_share", "convergence", "budget")),
        ("safetyamp/users", "leavers_off"),
    }
    assert set(found) == expected
    blocking = {key for key in expected if key[0] not in PUSHES and key[1] != "guards"}
    assert {key for key, spec in found.items() if spec.blocking} == blocking
    assert [key for key, spec in found.items() if "Red?" not in (spec.description or "")] == []


def test_what_is_read_and_what_is_written_may_not_get_old(graph):
    policies = {key.to_user_string(): graph.get(key).freshness_policy for key in graph.get_all_asset_keys()}
    assert {name for name, policy in policies.items() if policy is not None} == EVERYTHING - PLANS - REPORTS
    assert len({policy for policy in policies.values() if policy is not None}) == 1


@pytest.mark.parametrize("name", sorted(JOBS))
def test_every_job_holds_exactly_its_assets_and_runs_in_one_process(defs, name):
    job = defs.resolve_job_def(name)
    assert names(job.asset_layer.selected_asset_keys) == JOBS[name]
    assert job.executor_def is dg.in_process_executor
    assert job.tags["dagster/max_retries"] == "0"
    assert (SYNC_TAG in job.tags) == name.startswith("sync_")
    assert job.tags[CAUSE_TAG] == "manual"


def test_no_other_job_is_defined(defs):
    assert {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")} == set(JOBS) | set(
        OPERATOR_JOBS
    )


@pytest.mark.parametrize("name", sorted(OPERATOR_JOBS))
def test_what_operators_decide_is_a_job_with_a_form_and_help_that_is_never_repeated(defs, name):
    job = defs.resolve_job_def(name)
    assert {node.name for node in job.nodes} == OPERATOR_JOBS[name]
    assert job.executor_def is dg.in_process_executor
    assert job.tags["dagster/max_retries"] == "0"
    assert job.description
    for node in job.nodes:
        form = node.definition.config_schema.config_type.fields
        assert form
        assert all(field.description for field in form.values()), name


def test_schedules_and_sensors_start_what_they_say_and_are_off_where_no_variable_turns_them_on(defs):
    repository = defs.get_repository_def()
    assert {one.name: one.cron_schedule for one in repository.schedule_defs} == SCHEDULES
    assert {one.name: {target.job_name for target in one.targets} for one in repository.sensor_defs} == SENSORS
    for schedule in repository.schedule_defs:
        assert schedule.job_name == schedule.name.removesuffix("_schedule")
        assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    on = {one.name for one in repository.sensor_defs if one.default_status is dg.DefaultSensorStatus.RUNNING}
    assert on == {"dead_runs"}, "it starts nothing"
    assert all(one.description for one in (*repository.schedule_defs, *repository.sensor_defs))


def test_the_launchpad_of_every_sync_shows_one_form_for_all_its_pushes(defs):
    form = defs.resolve_job_def("sync_all").run_config_schema.config_type.fields["resources"].config_type.fields
    fields = form["push_config"].config_type.fields["config"].config_type.fields
    assert set(fields) == {"dry_run", "approve_plan", "approve_reason", "approved_by", "only_keys"}
    assert all(field.description and not field.is_required for field in fields.values())


def test_a_push_asks_for_every_blocking_check_of_its_plan(graph):
    for plan in PLANS:
        blocking = {
            key.name
            for key in graph.asset_check_keys
            if key.asset_key.to_user_string() == plan and graph.get_check_spec(key).blocking
        }
        assert blocking == set(PLAN_CHECKS), f"{plan}: name its blocking checks in PLAN_CHECKS of assets/naming.py"


def test_whoever_writes_to_safetyamp_is_in_the_pool(graph):
    pools = {name: set() for name in (POOL, None)}
    for assets in graph.assets_defs:
        pools[assets.op.pool] |= names(assets.keys)
    assert pools == {POOL: PUSHES, None: EVERYTHING - PUSHES}


def test_an_undo_is_queued_and_pooled_like_a_sync(defs):
    job = defs.resolve_job_def("undo_session")
    assert job.tags[SYNC_TAG] == defs.resolve_job_def("sync_all").tags[SYNC_TAG]
    assert [node.definition.pool for node in job.nodes] == [POOL]


def test_every_asset_says_what_it_is_who_owns_it_and_what_to_do_when_it_is_red(graph):
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description is not None
        assert "Red?" in node.description, key
        assert node.owners, key
        assert node.kinds, key
        assert node.group_name in {
            "viewpoint",
            "entra",
            "samsara",
            "safetyamp_observed",
            "plan",
            "safetyamp",
            "reports",
        }


def test_the_mapping_of_every_field_is_shown_with_its_sources(graph):
    metadata = graph.get(dg.AssetKey(["safetyamp", "users"])).metadata
    rows = {record.data["field"]: record.data for record in metadata["field_mapping"].records}
    assert rows["email"]["from"] == "Entra mail, then Viewpoint Email"
    assert rows["email"]["rules"] == "required, unique (reject)"
    lineage = metadata["dagster/column_lineage"].deps_by_column
    assert {dep.asset_key.to_user_string() for dep in lineage["email"]} == {"entra/users", "viewpoint/employees"}


@pytest.mark.parametrize(
    "text",
    ["guards: 2026-13-45", "guards: !!int x", "[" * 900 + "]" * 900, "a: &a [x]\n*a : 1", "a: &a {b: *a}"],
    ids=["no date", "no number", "nested", "alias as key", "in itself"],
)
def test_an_odd_sync_yaml_is_told_with_its_line_on_the_schedule_and_the_ui_opens(text, tmp_path, monkeypatch):
    rules = tmp_path / "sync.yaml"
    rules.write_text(f"companies: [1]\n{text}\n", encoding="utf-8")
    monkeypatch.setenv("SYNC_CONFIG", str(rules))

    defs = build_defs()

    dg.Definitions.validate_loadable(defs)
    (schedule,) = [one for one in defs.schedules if one.name == "sync_all_schedule"]
    (told,) = [line for line in schedule.description.splitlines() if "SYNC_CONFIG" in line]
    assert re.search(r"SYNC_CONFIG: .*sync\.yaml: .*\bline [23]\b", told), told


def test_importing_the_definitions_opens_no_socket_and_reads_no_variable():
    program = (
        "import os, socket\n"
        "def refuse(*a, **k): raise AssertionError('a socket was opened')\n"
        "socket.socket.connect = refuse\n"
        "os.environ.clear()\n"
        "from safetyamp_pipelines.definitions import defs\n"
        "print(len(defs.resolve_asset_graph().get_all_asset_keys()))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd="/")
    assert answer.stdout.strip() == str(len(EVERYTHING)), answer.stderr


def test_importing_the_definitions_imports_no_library_that_only_a_run_needs():
    """Every code server, tick and run pays for what is imported here (`benchmarks/load_location.py`). Dagster's own
    storage brings SQLAlchemy and Alembic to all of them."""
    only_in_runs = "azure email_validator fsspec msal phonenumbers pyodbc requests rich upath urllib3"
    program = (
        "import sys\nimport dagster\nbefore = set(sys.modules)\n"
        "import safetyamp_pipelines.definitions\n"
        f"print(*sorted((set(sys.modules) - before) & set({only_in_runs.split()!r})))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == "", answer.stdout
    assert answer.returncode == 0, answer.stderr


def test_commands_that_only_look_do_without_the_seconds_in_which_dagster_is_imported():
    program = (
        "import sys\n"
        "from safetyamp_pipelines.cli import main\n"
        "from safetyamp_pipelines.operations import decisions, status\n"
        "from safetyamp_pipelines.operations.explain import explain, lines\n"
        "print('dagster' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == "False", answer.stderr


def test_sync_imports_no_dagster_no_requests_and_no_settings():
    for module in Path("safetyamp_pipelines/sync").rglob("*.py"):
        text = module.read_text(encoding="utf-8")
        for forbidden in ("import dagster", "import requests", "safetyamp_pipelines.settings", "import os"):
            assert forbidden not in text, f"{module}: {forbidden}"
