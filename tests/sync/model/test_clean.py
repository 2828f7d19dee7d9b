"""Cleaners: what each makes of the values the sources hold, and what it says of those it cannot use."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetyamp_pipelines.sync.model.clean import CLEANERS, Unclean, clean

TEXTS = st.text(max_size=20)


def cleaned(cleaner: str, *values: Any, region: str = "US") -> list[Any]:
    return clean(values, cleaner, region).values


def reason(cleaner: str, value: Any) -> str | None:
    return clean([value], cleaner).reasons[0]


@pytest.mark.parametrize(
    ("cleaner", "raw", "expected"),
    [
        ("text", "  Núñez ", "Núñez"),
        ("text", "Nu\u0301n\u0303ez", "Núñez"),
        ("text", "\u200b Nora\ufeff ", "Nora"),
        ("text", " \u200b ", None),
        ("text", "   ", None),
        ("text", 12, "12"),
        ("key", " 24113.  ", " 24113."),
        ("key", "   ", None),
        ("email", " Nora.Test@Example.COM ", "nora.test@example.com"),
        ("email", "o'brien@example.com", "o'brien@example.com"),
        ("email", "nora@company.test", "nora@company.test"),
        ("email", "\u200bnora@example.com\u200b", "nora@example.com"),
        ("phone", "504-234-5678", "+15042345678"),
        ("phone", "(504) 234 5678", "+15042345678"),
        ("phone", "+44 20 7946 0958", "+442079460958"),
        ("phone", "504-234-5678 ext 12", "+15042345678"),
        ("phone", "504-234-5678x12", "+15042345678"),
        ("phone", "504-234-5678 c", "+15042345678"),
        ("date", "2026-11-20 00:00:00", "2026-11-20"),
        ("date", "2026-11-20T13:30:00", "2026-11-20"),
        ("gender", "F", 0),
        ("gender", " m ", 1),
        ("gender", "X", None),
        ("zip_code", "01234", "01234"),
        ("zip_code", "70000-", "70000"),
        ("zip_code", "70000-0001", "70000-0001"),
        ("zip_code", " - ", None),
        ("state", "la ", "LA"),
        ("number", " 00482 ", "482"),
        ("number", 482, "482"),
        ("number", "\u202a00482\u202c", "482"),
        ("number", "0", "0"),
        ("number", "A-17", "A-17"),
        ("as_is", 0, 0),
    ],
)
def test_a_value_becomes_what_safetyamp_takes(cleaner: str, raw: Any, expected: Any) -> None:
    assert cleaned(cleaner, raw) == [expected]
    assert reason(cleaner, raw) is None


@pytest.mark.parametrize(
    ("cleaner", "raw", "why"),
    [
        ("email", "nora.test", "is not a valid e-mail address"),
        ("email", "nora@@example.com", "is not a valid e-mail address"),
        ("email", "nora@acme.onmicrosoft.com", "is an onmicrosoft address, which is not a mailbox"),
        ("phone", "call me", "is not a telephone number"),
        ("phone", "12", "is not a number that can be dialled"),
        ("phone", "504-234-5678 (cell)", "holds words beside the number"),
        ("phone", "504-CALL-NOW", "holds words beside the number"),
        ("phone", "000-000-0000", "is not a number that can be dialled"),
        ("date", "20/11/2026", "is not a date"),
    ],
)
def test_an_unusable_value_gives_a_reason_that_carries_nothing_of_it(cleaner: str, raw: str, why: str) -> None:
    assert cleaned(cleaner, raw) == [None]
    assert reason(cleaner, raw) == why


def test_numbers_without_a_country_code_belong_to_the_configured_region() -> None:
    assert cleaned("phone", "020 7946 0958", region="GB") == ["+442079460958"]


@pytest.mark.parametrize("cleaner", CLEANERS)
def test_a_missing_value_stays_missing_without_a_reason(cleaner: str) -> None:
    assert cleaned(cleaner, None) == [None]
    assert reason(cleaner, None) is None


def test_values_that_are_equal_in_python_and_differ_in_json_are_cleaned_apart() -> None:
    assert cleaned("as_is", 1, True, 1.0) == [1, True, 1.0]
    assert [type(value) for value in cleaned("as_is", 1, True, 1.0)] == [int, bool, float]


@pytest.mark.parametrize("cleaner", sorted(set(CLEANERS) - {"as_is"}))
def test_a_list_where_one_value_belongs_is_one_unusable_value(cleaner: str) -> None:
    assert cleaned(cleaner, ["a"], {"b": 1}) == [None, None]
    assert reason(cleaner, ["a"]) == "is not a single value"


@pytest.mark.parametrize("cleaner", ["text", "key", "email", "phone", "date", "zip_code", "state", "number"])
@given(value=TEXTS)
def test_cleaning_twice_is_cleaning_once(cleaner: str, value: str) -> None:
    try:
        once = CLEANERS[cleaner](value, "US")
    except Unclean:
        return

    assert once is None or CLEANERS[cleaner](once, "US") == once


@given(st.lists(st.one_of(st.none(), TEXTS), max_size=8), st.sampled_from(sorted(CLEANERS)))
def test_a_column_is_cleaned_as_each_of_its_values_alone(values: list[str | None], cleaner: str) -> None:
    assert cleaned(cleaner, *values) == [cleaned(cleaner, value)[0] for value in values]
