"""Cleaners: from what a source holds to what SafetyAmp takes, or a reason why not. No choice between sources here.

The libraries that know e-mail addresses and telephone numbers are imported at the first one: loading the definitions
does without them.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from safetyamp_pipelines.sync.model.text import UNREADABLE

PhoneRegion = str
# Text copied from mails and address books brings characters of no width along, such as U+200B and U+202A.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_LINE_ENDS = re.compile("[\t\n\x0b\x0c\r\x85\u2028\u2029]+")
_BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001))))
LONGEST = 500
"""Characters of a value or a key: SafetyAmp takes 255 at most, an index of PostgreSQL 2,704 bytes."""
_WHOLE = re.compile(r"(\d+)(?:\.0+)?")
"""A spreadsheet's 1797.0, too, and the digits of any script."""
_LOST = re.compile(r"[^\W\d_]\?|\?[^\W\d_]")
LOST = 'holds "?", perhaps in place of a letter that the source cannot store: correct it there'


class Unclean(ValueError):
    """The value cannot be used; the text says why in words that carry nothing of the value."""


def text(value: Any, _region: PhoneRegion) -> str | None:
    """One line in one Unicode form (NFC) without marks that nobody sees, trimmed; nothing left means no value."""
    found = str(value)
    if found.isascii() and found.isprintable() and len(found) <= LONGEST:
        return found.strip() or None
    return _bounded(unicodedata.normalize("NFC", _visible(found)).strip(_BLANKS)) or None


def _visible(text: str) -> str:
    return _UNSEEN.sub("", _LINE_ENDS.sub(" ", text))


def _bounded(text: str) -> str:
    """A text too long to be stored or indexed, as one that is unreadable and yet its own."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:40]}{UNREADABLE}{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def has_lost_letters(text: str) -> bool:
    """Whether question marks in it may be letters that a code page cannot hold, as in `Nguy?n`."""
    return _LOST.search(text) is not None


def restores(whole: Any, text: Any) -> bool:
    """Whether `whole` is `text` with a letter in place of each question mark, as `Łukasz` is `?ukasz`."""
    if not (isinstance(whole, str) and isinstance(text, str)) or "?" not in text or "?" in whole:
        return False
    found, damaged = unicodedata.normalize("NFC", whole.strip()).casefold(), text.strip().casefold()
    return len(found) == len(damaged) and all(
        one == other or (other == "?" and one.isalpha()) for one, other in zip(found, damaged, strict=True)
    )


def key(value: Any, _region: PhoneRegion) -> str | None:
    """A Vista key: trimmed on the right only, since leading blanks and a trailing dot are part of it."""
    return _bounded(_visible(str(value)).rstrip()) or None


def email(value: Any, region: PhoneRegion) -> str | None:
    """An address in lower case. An onmicrosoft address is a sign-in name, not a mailbox, and is refused."""
    trimmed = text(value, region)
    if trimmed is None:
        return None
    # here for the reason above
    from email_validator import EmailNotValidError, validate_email

    try:
        # test_environment: a reserved .test domain is well-formed, and whether it exists is SafetyAmp's to say.
        parts = validate_email(trimmed, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise Unclean("is not a valid e-mail address") from error
    if "onmicrosoft" in parts.domain.lower():
        raise Unclean("is an onmicrosoft address, which is not a mailbox")
    return parts.normalized.lower()


def telephony() -> Any:
    """The library that knows the telephone plans of the world."""
    import phonenumbers  # takes longer to load than all of sync.yaml

    return phonenumbers


def phone(value: Any, region: PhoneRegion) -> str | None:
    """E.164 such as +15045550123. Numbers without a country code belong to `region`; an extension is left out."""
    trimmed = text(value, region)
    if trimmed is None:
        return None
    phonenumbers = telephony()
    # The library would dial letters as on a keypad: a remark beside a number, such as (cell), became other digits.
    if phonenumbers.is_alpha_number(trimmed):
        raise Unclean("holds words beside the number")
    try:
        number = phonenumbers.parse(trimmed, region)
    except phonenumbers.NumberParseException as error:
        raise Unclean("is not a telephone number") from error
    if not phonenumbers.is_valid_number(number):
        raise Unclean("is not a number that can be dialled")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def date(value: Any, region: PhoneRegion) -> str | None:
    """`YYYY-MM-DD`, the only form SafetyAmp takes; a time of day is cut off."""
    trimmed = text(value, region)
    if trimmed is None:
        return None
    try:
        return datetime.fromisoformat(trimmed).date().isoformat()
    except ValueError as error:
        raise Unclean("is not a date") from error


def gender(value: Any, region: PhoneRegion) -> int | None:
    """0 female, 1 male: SafetyAmp refuses anything else."""
    letter = (text(value, region) or "").upper()
    return {"F": 0, "M": 1}.get(letter)


def zip_code(value: Any, region: PhoneRegion) -> str | None:
    """A zip stays text: `01234` keeps its zero, and the dash Vista's mask leaves behind (`70000-`) goes."""
    return re.sub(r"-$", "", text(value, region) or "").strip() or None


def state(value: Any, region: PhoneRegion) -> str | None:
    """State codes in capitals; Vista pads them with a blank."""
    return (text(value, region) or "").upper() or None


def number(value: Any, region: PhoneRegion) -> str | None:
    """A number used as a key, as text without leading zeros; other text is only trimmed."""
    trimmed = text(value, region)
    if trimmed is None:
        return None
    if trimmed.isascii() and trimmed.isdigit():  # nearly all, whole tables of them
        return trimmed.lstrip("0") or "0"
    whole = _WHOLE.fullmatch(trimmed)
    return str(int(whole[1])) if whole else trimmed


def as_is(value: Any, _region: PhoneRegion) -> Any:
    """A value that a rule has already made what it should be."""
    return value


Cleaner = Callable[[Any, PhoneRegion], Any]
CLEANERS: dict[str, Cleaner] = {
    cleaner.__name__: cleaner for cleaner in (text, key, email, phone, date, gender, zip_code, state, number, as_is)
}


@dataclass(frozen=True)
class Cleaned:
    """By row: the value or None, and what is wrong with it or None: with a value, why that is in doubt."""

    values: list[Any]
    reasons: list[str | None]


def clean(column: Sequence[Any], cleaner: str, region: PhoneRegion = "US") -> Cleaned:
    """Clean a whole column; each distinct value is cleaned once."""
    function = CLEANERS[cleaner]
    found: dict[Any, tuple[Any, str | None]] = {}
    rows = []
    for value in column:
        key = (type(value), value if isinstance(value, str | int | float | None) else repr(value))
        if key not in found:
            found[key] = _cleaned(function, value, region)
        rows.append(found[key])
    return Cleaned([value for value, _ in rows], [reason for _, reason in rows])


def _cleaned(function: Cleaner, value: Any, region: PhoneRegion) -> tuple[Any, str | None]:
    if value is None:
        return None, None
    if isinstance(value, list | dict) and function is not as_is:
        return None, "is not a single value"
    try:
        cleaned = function(value, region)
    except Unclean as unclean:
        return None, str(unclean)
    if isinstance(cleaned, str) and UNREADABLE in cleaned:
        return None, f"holds characters that cannot be read, or more than {LONGEST}"
    return cleaned, LOST if function is text and has_lost_letters(cleaned or "") else None
