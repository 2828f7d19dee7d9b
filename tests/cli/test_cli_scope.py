"""A pilot by sync.yaml, with the real command and the real job: who is out of scope, and an entity on its own."""

from __future__ import annotations

from pathlib import Path

import yaml
from commands import in_this_process

from safetyamp_pipelines.definitions import build_defs, resources_for
from safetyamp_pipelines.ledger import Ledger
from safetyamp_pipelines.resources.run_memory import instance_in_memory
from safetyamp_pipelines.resources.systems import SettingsResource
from safetyamp_pipelines.sandbox import Sandbox

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def test_a_pilot_touches_nobody_outside_of_it(synced_box: Sandbox, tmp_path: Path) -> None:
    # given a pilot of one department without vehicles, and somebody who leaves another department
    box = synced_box
    on = {row["emp_id"] for row in box.safetyamp.tables()["users"] if row["system_access"]}
    employed = [row for row in box.world.viewpoint["bPREH"] if row["TermDate"] is None and row["HireDate"]]
    people = [row for row in employed if str(row["Employee"]) in on]
    pilot = str(people[0]["PRDept"])
    inside = [row for row in people if row["PRDept"] == people[0]["PRDept"]]
    outside = [row for row in people if row["PRDept"] != people[0]["PRDept"]]
    rules = yaml.safe_load(Path(box.environment["SYNC_CONFIG"]).read_text(encoding="utf-8"))
    rules["employees"] = {
        "only": {"PRDept": pilot},
        "custom_fields": [{"column": "Suffix", "field": "nickname", "label": "Called"}],
    }
    rules["vehicles"]["in_sync_all"] = False
    (file := tmp_path / "sync.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    for row in (inside[0], outside[0]):
        box.sources.update("bPREH", {"Employee": row["Employee"]}, FirstName="Renamed", Suffix="Jr")
    box.sources.terminate(outside[1]["Employee"])

    # when everything is synced
    ran = in_this_process(box, "sync", "--json", SYNC_CONFIG=str(file))

    # then the one inside is renamed, the leaver whom we know is switched off, and nothing else is touched
    document = ran.document()
    assert set(document["entities"]) == {"departments", "jobs", "titles", "employees"}
    assert len(ran.writes) == 2
    with Ledger.open(box.environment["LEDGER_URL"]) as ledger:
        last = {
            row["Employee"]: ledger.verdict_history("employees", str(row["Employee"]))[0]
            for row in (inside[0], outside[0], outside[1])
        }
    assert [one.outcome for one in last.values()] == ["updated", "out_of_scope", "deactivated"]
    assert last[outside[0]["Employee"]].rule == "out of scope by employees.only.PRDept of sync.yaml"

    # with the field that only sync.yaml has
    users = {row["emp_id"]: row.get("nickname") for row in box.safetyamp.tables()["users"]}
    assert users[str(inside[0]["Employee"])] == "Jr"
    assert users[str(outside[0]["Employee"])] != "Jr"
    told = in_this_process(
        box, "explain", "employee", str(inside[0]["Employee"]), "--json", SYNC_CONFIG=str(file)
    ).document()
    (called,) = (one for one in told["fields"] if one["field"] == "nickname")
    assert (called["label"], called["value"], called["from"]) == ("Called", "Jr", "Viewpoint Suffix")

    # and the job of the whole sync plans the vehicles, and leaves their push to them
    environment = {**box.environment, "SYNC_CONFIG": str(file)}
    job = build_defs(resources_for(SettingsResource.of(environment))).resolve_job_def("sync_all")
    box.sources.update("bPREH", {"Employee": inside[0]["Employee"]}, FirstName="Again")
    with instance_in_memory() as instance:
        result = job.execute_in_process(instance=instance, run_config=QUIET)
    pushed = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert {"plan/vehicles", "safetyamp/users"} <= pushed
    assert "safetyamp/assets" not in pushed
    assert in_this_process(box, "sync", "vehicles", SYNC_CONFIG=str(file)).exit_code == 0
