"""Invented people: names, addresses, telephone numbers, job titles. Knows no table and no system."""

from __future__ import annotations

import random
import unicodedata
from dataclasses import dataclass

WOMEN = (
    *("Nora", "Ada", "Grace", "Maria", "Elena", "Tanya", "Ruth", "Joan", "Carla", "Denise", "Paula", "Sofia"),
    *("Irene", "Lucy", "Hannah", "Olivia", "Renée", "Zoë", "Inés", "Priya"),
)
MEN = (
    *("Adam", "Boris", "Carl", "David", "Emil", "Frank", "George", "Hugo", "Ivan", "James", "Kevin", "Louis"),
    *("Marcus", "Nathan", "Oscar", "Peter", "Quentin", "Ralph", "Samuel", "Thomas", "Victor", "Walter", "José"),
    *("Łukasz", "André", "Björn"),
)
SURNAMES = (
    *("Abbot", "Barker", "Carver", "Dalton", "Ellis", "Fowler", "Garner", "Harlan", "Ivers", "Jarvis", "Keller"),
    *("Lambert", "Mercer", "Norris", "Osborn", "Porter", "Quinn", "Rowley", "Sutton", "Tanner", "Upton"),
    *("Vance", "Walker", "Yates", "Zeller", "Boudreaux", "Hebert", "Landry", "Fontenot", "Trahan", "Guidry"),
    *("Castille", "Duhon", "Melancon", "O'Brien", "Núñez", "D'Angelo", "Smith-Jones", "Müller", "Şahin"),
    *("García", "Van-der-Berg", "Nowak", "Łuczak"),
)
PLANTED_NAMES = (("Sean", "O'Brien"), ("Inés", "Núñez"), ("Łukasz", "Nowak"), ("Anne Marie", "de la Cruz"))
CITIES = (
    "Sampleton",
    "Exampleville",
    "Testburg",
    "Mockport",
    "Port Specimen",
    "St. Instance",
    "Draftwood",
    "New Trial",
)
STATES = ("LA", "TX", "MS", "AL", "OK", "FL")
AREA_CODES = (504, 225, 985, 337, 318, 713, 281, 832, 409, 251, 228, 601, 850, 512)
LEVELS = (
    *("", "Apprentice ", "Lead ", "Senior ", "Journeyman ", "Assistant ", "Night Shift ", "Project "),
    *("Regional ", "Trainee "),
)
TRADES = (
    *("Fitter", "Welder", "Electrician", "Foreman", "Superintendent", "Estimator", "Crane Operator", "Rigger"),
    *("Pipefitter", "Scaffold Builder", "Safety Coordinator", "Painter", "Millwright", "Truck Driver"),
    *("Warehouse Clerk", "Instrumentation & Controls Technician II"),
)
# Letters that do not decompose into an ASCII letter and an accent.
_SINGLE_LETTERS = str.maketrans({"Ł": "L", "ł": "l", "Ø": "O", "ø": "o", "ß": "ss"})


@dataclass(frozen=True)
class Name:
    """First name, last name and sex (M or F)."""

    first: str
    last: str
    sex: str


def any_name(dice: random.Random) -> Name:
    """One of some 2,000 names, accents and apostrophes among them."""
    sex = dice.choice("FM")
    return Name(dice.choice(WOMEN if sex == "F" else MEN), dice.choice(SURNAMES), sex)


def mailbox(first: str, last: str) -> str:
    """The local part of a company address: ASCII, lower case, letters only around one dot."""
    return f"{_ascii(first)}.{_ascii(last)}"


def telephone(count: int) -> str:
    """The count-th number of an endless book, `504-555-0100` in form; all differ and all are dialable."""
    line, area = divmod(count, len(AREA_CODES))
    return f"{AREA_CODES[area]}-555-{100 + line:04d}"


def zip_code(dice: random.Random) -> str:
    """Nine digits mostly; the five-digit form is rare in the payroll system."""
    return f"{dice.randint(70001, 79999)}-{dice.randint(1, 9999):04d}"


def street(dice: random.Random) -> str:
    """A house number and an invented street."""
    name, kind = dice.choice(("Example", "Sample", "Mock", "Test")), dice.choice(("St", "Ave", "Rd"))
    return f"{dice.randint(1, 9800)} {name} {kind}"


def titles(count: int) -> list[str]:
    """The first `count` job titles, at most 43 characters each, different also without regard to case."""
    return [f"{level}{trade}" for level in LEVELS for trade in TRADES][:count]


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(_SINGLE_LETTERS))
    return "".join(letter for letter in plain.lower() if letter.isascii() and letter.isalpha())
