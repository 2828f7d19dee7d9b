"""What comes from outside misleads nobody who reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetyamp_pipelines.sync.model.text import displayed


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Ngũgĩ wa Thiong'o", "Ngũgĩ wa Thiong'o"),
        ("a\r\nWhat to do: run curl", r"a\r\nWhat to do: run curl"),
        ("\x1b[2J\x9b1m\x00", r"\x1b[2J\x9b1m\x00"),
        ("abc\u202ecba\u200b", r"abc\u202ecba\u200b"),
        ("\ud83d", r"\ud83d"),
        ("👩‍🔧"[:1], "👩"),
        (7, "7"),
    ],
)
def test_outside_text_is_one_printable_line(text: object, line: str) -> None:
    assert displayed(text) == line


def test_a_long_text_is_cut_visibly() -> None:
    assert displayed("x" * 1000, 10) == "xxxxxxxxx…"


@given(st.text(st.characters(codec=None), max_size=50))
def test_no_text_whatever_reaches_a_terminal_as_a_control(text: str) -> None:
    assert not any(
        character in "\x1b\n\r\x9b\u202e" or "\ud800" <= character <= "\udfff" for character in displayed(text)
    )
