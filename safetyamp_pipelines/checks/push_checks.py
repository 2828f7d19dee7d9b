"""Checks on SafetyAmp's tables after a push: what was refused or left undone, whether the budget was kept, leavers.

They report and do not stop: a push that must stop does so itself. They ask the ledger and the budget's record, never
SafetyAmp. A push without output, such as a dry run, has nothing to check: Dagster skips the step then.
"""

from collections.abc import Mapping

import dagster as dg

from safetyamp_pipelines.checks.judged import Judged, judged_checks
from safetyamp_pipelines.checks.push_judges import judge_budget, judge_leavers, judge_left, judge_refused
from safetyamp_pipelines.resources.systems import LedgerResource, SettingsResource
from safetyamp_pipelines.sync.entities.employees import SPEC as EMPLOYEES
from safetyamp_pipelines.sync.entities.registry import ENTITIES, asset_name
from safetyamp_pipelines.sync.model.snapshot import Snapshot
from safetyamp_pipelines.sync.model.spec import EntitySpec

CHECKS = {
    "failure_share": "SafetyAmp takes every record. Yellow: it refuses some, which `safetyamp failures list` shows "
    "with the offending fields; correct them at the source. Red? It refuses more than `checks.refused` of `sync.yaml` "
    "allows: a rule or a setting of SafetyAmp has changed, so look at the field that most of them share.",
    "convergence": "Nothing that was planned is left to do. Yellow: some changes were blocked, came too late or got no "
    "answer; the next run plans them anew. Red? It never is; if it stays yellow, explain one of the keys.",
    "budget": "SafetyAmp was never called more often than API_RATE_LIMIT_CALLS in API_RATE_LIMIT_PERIOD. Red? "
    "Processes with one token do not share one budget: give them one SAFETYAMP_DATA_DIR, or a PostgreSQL ledger.",
}
LEAVERS = (
    "People who left according to Viewpoint are switched off in SafetyAmp within `checks.leaver_hours` of `sync.yaml`. "
    "Red? The people named can still log in: explain one of them, and switch them off in SafetyAmp by hand meanwhile."
)
"""What each check says of itself in the UI."""


def push_checks(spec: EntitySpec) -> dg.AssetChecksDefinition:
    """The checks of one table after its push, in one step."""

    @judged_checks(asset_name(spec), CHECKS, f"safetyamp plan {spec.name}", job=f"sync_{spec.name}")
    def checks(sync_settings: SettingsResource, ledger: LedgerResource) -> Mapping[str, Judged]:
        settings, book = sync_settings.get(), ledger.get()
        return {
            "failure_share": judge_refused(book, spec, settings.sync_config().checks.refused),
            "convergence": judge_left(book, spec),
            "budget": judge_budget(settings),
        }

    return checks


def leavers_check() -> dg.AssetChecksDefinition:
    """Whether everybody who left is switched off, by Viewpoint's own dates and SafetyAmp's rows after the push."""
    asset, name = asset_name(EMPLOYEES), "leavers_off"
    ins = {"users": asset, "employees": EMPLOYEES.key.table}

    @judged_checks(
        asset, {name: LEAVERS}, "safetyamp explain employees KEY", suffix=name, ins=ins, job="sync_employees"
    )
    def leavers_off(
        sync_settings: SettingsResource, ledger: LedgerResource, users: Snapshot, employees: Snapshot
    ) -> Mapping[str, Judged]:
        return {name: judge_leavers(employees, users, ledger.get(), sync_settings.get())}

    return leavers_off


table_push_checks = [*(push_checks(spec) for spec in ENTITIES), leavers_check()]
