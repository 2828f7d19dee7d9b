"""Who is left alone: records that sync.yaml protects, by key or by what SafetyAmp shows, and those it suppresses."""

from __future__ import annotations

from collections.abc import Iterable

from safetyamp_pipelines.sync.model.plan import Finding
from safetyamp_pipelines.sync.model.spec import Desired, EntitySpec, Scope
from safetyamp_pipelines.sync.model.tables import TargetTable, fold
from safetyamp_pipelines.sync.planning.matching import Matches
from safetyamp_pipelines.sync.rules.config import SyncConfig


def left_alone(
    spec: EntitySpec, config: SyncConfig, desired: Iterable[Desired], matches: Matches, observed: TargetTable
) -> dict[str, str]:
    """Source key → the rule that keeps the record as it is in SafetyAmp, or out of it. A protected key that SafetyAmp
    does not know is not created either: its account may be there under another number."""
    section = getattr(config, spec.name)
    # People write a title as they read it, and blanks are not seen.
    suppressed, protected = ({fold(key, case=True) for key in keys} for keys in (section.suppressed, section.protected))
    found: dict[str, str] = {}
    for record in desired:
        key, match = record.source_key, matches.found.get(record.source_key)
        if (folded := fold(key, case=True)) in suppressed:
            found[key] = f"suppressed: named in {spec.name}.suppressed of sync.yaml"
        elif folded in protected:
            found[key] = f"protected: named in {spec.name}.protected of sync.yaml"
        elif match is not None and (why := spec.protected_by(observed.rows[match.target_id], config)) is not None:
            found[key] = f"protected: {why}"
    return found


def worth_a_look(
    spec: EntitySpec, record: Desired, why: str, matches: Matches, observed: TargetTable
) -> Iterable[Finding]:
    """What people should know of a record that is left alone: it is there although it is to stay out, or it has left
    and nobody takes its access away."""
    match = matches.found.get(record.source_key)
    if match is None:
        return
    if why.startswith("suppressed"):
        yield Finding("suppressed_in_safetyamp", record.source_key, f"{why}, and it is in SafetyAmp")
    elif record.scope is Scope.LEAVER and observed.rows[match.target_id].get(spec.access or "") in (True, 1):
        yield Finding("protected_leaver", record.source_key, f"{record.rule}; {why}: take the access off by hand")
