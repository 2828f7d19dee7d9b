"""A sample of the fuzzing, other seeds each day; all of it is `python -m hostile`."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date

import pytest

from hostile.fuzz import PARSERS, fuzz

TRIES = 50


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
def test_no_text_from_outside_raises_an_error_that_is_not_ours(parser: Callable[[random.Random], None]) -> None:
    first = date.today().toordinal() * 10_000
    for seed in range(first, first + TRIES):
        try:
            fuzz(seed, parser)
        except Exception as error:
            raise AssertionError(f"{parser.__name__} with seed {seed}: {type(error).__name__}") from error
