"""How raw values become what SafetyAmp should hold. Knows no table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import phonenumbers

_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>.]+(\.[^@\s,;<>.]+)+")
_DIALLED = re.compile(r"[\d\s()+./-]+")


class OneOf:
    """A field of which the design allows several values; equal to each of them."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __eq__(self, other: object) -> bool:
        return other in self.values

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"OneOf{self.values}"


def text(value: Any) -> str | None:
    """Without blanks around it; None when nothing is left."""
    return str(value).strip() or None if value is not None else None


def key(value: Any) -> str:
    """A key as the payroll system compares it: verbatim but for trailing blanks."""
    return str(value or "").rstrip()


def zip_code(value: Any) -> str | None:
    """`70000-` is the mask of a code without its last four digits; leading zeros stay, it is a text."""
    return (text(value) or "").rstrip("-") or None


def day(value: Any) -> str | None:
    """`YYYY-MM-DD` of a database date."""
    return str(value)[:10] if value else None


def number(value: Any) -> int | None:
    """An employee number out of a text: blanks and leading zeros do not count."""
    digits = (text(value) or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() else None


def email(value: Any) -> str | None:
    """A deliverable address, in lower case; None for what is none and for the tenant's internal ones.

    Choice: addresses are compared without regard to case, as SafetyAmp's uniqueness does.
    """
    address = (text(value) or "").lower()
    internal = address.endswith(".onmicrosoft.com")
    return address if _EMAIL.fullmatch(address) and not internal else None


def telephone(values: Iterable[Any], region: str = "US") -> Any:
    """E.164 of the first number that is one, else None.

    Choice: a value that is not a number is passed over for the next source. A text with words around a number may be
    read (`504-555-0123 (cell)`) or passed over; letters inside a number are never turned into digits.
    """
    strict: str | None = None
    loose: str | None = None
    for value in values:
        raw = text(value) or ""
        plain = _e164(raw, region) if _DIALLED.fullmatch(raw) else None
        inside = [m.number for m in phonenumbers.PhoneNumberMatcher(raw, region)]
        strict = strict or plain
        loose = loose or plain or next((_format(found) for found in inside), None)
    return strict if strict == loose else OneOf(strict, loose)


def _e164(raw: str, region: str) -> str | None:
    try:
        parsed = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None
    return _format(parsed) if phonenumbers.is_valid_number(parsed) else None


def _format(parsed: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
