"""Why steps of a run failed: one text for each cause, with what to do. Seven tables of one system are one cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import dagster as dg

from safetyamp_pipelines.operations.diagnosis import Diagnosis


@dataclass(frozen=True)
class Cause:
    """One reason for which `steps` failed. `refused`: nothing may be written until a person acts."""

    text: str
    steps: tuple[str, ...]
    refused: bool


def causes_of(failures: Mapping[str, Diagnosis]) -> list[Cause]:
    """The causes behind the failures of a run's steps, in the order of the steps."""
    groups: dict[str, dict[str, Diagnosis]] = {}
    for step, found in failures.items():
        groups.setdefault(found.cause, {})[step] = found
    return [_cause(group) for group in groups.values()]


def cause_of_checks(step: str, red: Iterable[dg.AssetCheckEvaluation]) -> Cause:
    """The cause of a step that failed because its checks did, in figures: not everybody has the UI at hand."""
    return Cause("; ".join(map(_render_check, red)), (step,), refused=True)


def _cause(failed: Mapping[str, Diagnosis]) -> Cause:
    steps = tuple(failed)
    # Calls that were not made follow from the failures before them, which show what is wrong.
    found = next((one for one in failed.values() if not one.was_not_made), next(iter(failed.values())))
    more = f" (the same in {len(steps)} steps)" if len(steps) > 1 and found.system else ""
    text = found.sentence(more)
    if found.kind == "interrupted":
        text = f"interrupted at {', '.join(steps)}. Run it again: it looks up what was under way, sends nothing twice"
    elif found.kind == "unexpected":
        text = f"{', '.join(steps)}: unexpected {found.error}: {found.text} (LOG_LEVEL=DEBUG shows where)"
    return Cause(text, steps, found.is_refusal)


def _render_check(red: dg.AssetCheckEvaluation) -> str:
    shown = {name: str(value.value) for name, value in red.metadata.items()}
    name = f"the check {red.check_name} of {red.asset_key.to_user_string()} failed"
    figures = f": {shown['measured']}, the limit is: {shown['limit']}" if {"measured", "limit"} <= shown.keys() else ""
    keys = f" (keys: {shown['keys']})" if shown.get("keys", "none") != "none" else ""
    return f"{name}{figures}{keys}" + (f". Look closer: `{shown['look_closer']}`" if "look_closer" in shown else "")
