"""No pattern of sync.yaml and no text can cost more than moments."""

from __future__ import annotations

import time

import pytest

from safetyamp_pipelines.sync.model.patterns import is_costly, searched
from safetyamp_pipelines.sync.rules.yaml_file import SyncConfigError, parse_sync_config

LABELLED = r"(?i)^\s*(?:emp(?:loyee)?\s*(?:id|no|number)?\s*[:#]*\s*)?(\d{4,6})\s*$"
TEXTS = [start * 50_000 + end for start in ("a", "1", " ", "\n", "\u00a0", "ab", "1 ") for end in ("", "!", "1")]


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(a|aa)+$",
        r"(?:.*,)*(\d+)x",
        r".*.*.*(\d+)!",
        r"(a?){30}b",
        "a?" * 25 + r"(\d)",
        r"(?:(?:a*)b?)*(c)",
    ],
)
def test_a_pattern_that_a_text_could_make_search_for_minutes_is_refused(pattern: str) -> None:
    assert is_costly(pattern)
    with pytest.raises(SyncConfigError, match="repeats in repeats"):
        parse_sync_config(f"vehicles: {{driver_notes_pattern: '{pattern if '(' in pattern else f'({pattern})'}'}}")


@pytest.mark.parametrize(
    "pattern",
    [LABELLED, r"^\s*(\d{4,6})\s*$", r"Emp ID:?\s*(\d+)", r"Emp.*?(\d+)", r"^.*.*(\d+)$"],
)
def test_what_people_write_is_taken_and_costs_moments_on_any_text(pattern: str) -> None:
    assert not is_costly(pattern)

    before = time.process_time()
    for text in TEXTS:
        searched(pattern, text)
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    ("pattern", "text", "number"),
    [
        (LABELLED, "  Employee   No\u00a0 #  1797 ", "1797"),
        (r"(?m)^Nr (\d+)$", "new truck\r\n\r\n  Nr  12", "12"),
        (r"(?m)^ ?Nr (\d+)$", "new truck\n Nr  12", "12"),
        (r"x[\s*]+(\d+)", "x* 12", "12"),
        (r"\\s*(\d+)", "\\sss12", "12"),
    ],
)
def test_blanks_in_a_row_are_one(pattern: str, text: str, number: str | None) -> None:
    found = searched(pattern, text)

    assert (found.group(1) if found else None) == number
