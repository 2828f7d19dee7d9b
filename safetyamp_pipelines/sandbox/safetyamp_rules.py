"""What SafetyAmp refuses and in which words (422): checks of one body against the schema. Nothing is stored here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from safetyamp_pipelines.sandbox.safetyamp_options import TargetOptions
from safetyamp_pipelines.sandbox.safetyamp_schema import TABLES, Field

_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;.]+(\.[^@\s,;.]+)+")
_PHONE = re.compile(r"\+(1[2-9]\d{2}[2-9]\d{6}|[2-9]\d{7,14})")  # E.164; North American numbers by their plan
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST_TEXT = 255


class Records(Protocol):
    """What the rules ask about the records already there."""

    def row(self, table: str, id_: Any) -> Mapping[str, Any] | None:
        """The listed record with that id, as stored."""

    def is_taken(self, table: str, name: str, value: Any, but: Any) -> bool:
        """Whether the field is unique and a record other than `but` holds the value."""


class Refused(Exception):
    """422: `errors` maps field names to their texts."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        self.errors = dict(errors)
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The first text and how many more there are, as Laravel says it."""
        texts = [text for field_texts in self.errors.values() for text in field_texts]
        more = len(texts) - 1
        return texts[0] + (f" (and {more} more error{'s' if more > 1 else ''})" if more else "")


class InvalidValue(ValueError):
    """A value its field does not take: `key` is where SafetyAmp reports it, the message is SafetyAmp's text."""

    def __init__(self, key: str, text: str) -> None:
        self.key = key
        super().__init__(text)


def clean(
    table: str, body: Mapping[str, Any], before: Mapping[str, Any] | None, records: Records, options: TargetOptions
) -> dict[str, Any]:
    """The known fields of `body` as they are stored; raises Refused with every field that is wrong.

    `before` is the record to update, None for a create. Unknown fields, and those of `options.ignored_fields`, are
    dropped without a word, as SafetyAmp does.
    """
    schema, dropped = TABLES[table], options.ignored_fields.get(table, ())
    required = _required(table, before is None, options)
    own_id = None if before is None else before["id"]
    errors: dict[str, list[str]] = {}
    stored: dict[str, Any] = {}
    for name, field in schema.fields.items():
        value = _trimmed(body.get(name), options)
        try:
            if value in (None, "") and (name in required or (name in body and name in schema.required_on_create)):
                raise InvalidValue(name, f"The {_label(name, field)} field is required.")
            if value is None:
                taken: Any = [] if field.kind == "references" else None
            else:
                taken = check(name, field, value, records, options)
                if records.is_taken(table, name, taken, own_id):
                    raise InvalidValue(name, f"The {_label(name, field)} has already been taken.")
        except InvalidValue as invalid:
            errors[invalid.key] = [str(invalid)]
        else:
            if name in body and name not in dropped:
                stored[name] = taken
    if not errors:
        errors = contradictions(table, {**(before or {}), **stored}, records)
    if errors:
        raise Refused(errors)
    return stored


def check(name: str, field: Field, value: Any, records: Records, options: TargetOptions) -> Any:
    """The value as it is stored; raises InvalidValue when the field does not take it."""
    label = _label(name, field)
    match field.kind:
        case "flag":
            return _flag(name, field, value)
        case "choice":
            if isinstance(value, bool) or value not in (0, 1):
                raise InvalidValue(name, f"The selected {label} is invalid.")
            return value
        case "reference":
            if not _exists(field.to, value, records):
                raise InvalidValue(name, f"The selected {label} is invalid.")
            return value
        case "references":
            return _references(name, field, value, records)
    if not isinstance(value, str):
        if options.strict_text or not isinstance(value, (int, float)):
            raise InvalidValue(name, f"The {label} must be a string.")
        value = str(value)
    return _text(name, field, value)


def contradictions(table: str, after: Mapping[str, Any], records: Records) -> dict[str, list[str]]:
    """What is wrong between fields that are each right: an asset's type of another site, a cluster below itself."""
    if table == "assets":
        asset_type = records.row("asset_types", after["asset_type_id"]) or {}
        if asset_type.get("site_id") != after["site_id"]:
            return {"asset_type_id": ["The selected asset type id is invalid."]}
    if table == "site_clusters":
        above = after
        while (parent := records.row(table, above["parent_cluster_id"])) is not None:
            if parent["id"] == after.get("id"):
                return {"parent_cluster_id": ["The selected parent cluster id is invalid."]}
            above = parent
    return {}


def _required(table: str, creating: bool, options: TargetOptions) -> tuple[str, ...]:
    if creating:
        return TABLES[table].required_on_create
    return (*TABLES[table].required_on_update, *options.required_on_update.get(table, ()))


def _text(name: str, field: Field, value: str) -> str:
    label = _label(name, field)
    if len(value) > _LONGEST_TEXT:
        raise InvalidValue(name, f"The {label} may not be greater than {_LONGEST_TEXT} characters.")
    if field.kind == "email" and not _EMAIL.fullmatch(value):
        raise InvalidValue(name, f"The {label} must be a valid email address.")
    if field.kind == "phone" and not _PHONE.fullmatch(value):
        raise InvalidValue(name, "validation.phone")  # the untranslated key, as seen in operation
    if field.kind == "date" and not _is_date(value):
        raise InvalidValue(name, f"The {label} does not match the format Y-m-d.")
    if field.kind == "timezone" and not _is_timezone(value):
        raise InvalidValue(name, f"The {label} must be a valid zone.")
    return value


def _flag(name: str, field: Field, value: Any) -> bool | int:
    if value not in (0, 1, "0", "1"):
        raise InvalidValue(name, f"The {_label(name, field)} field must be true or false.")
    return bool(int(value)) if field.shown_as_bool else int(value)


def _references(name: str, field: Field, value: Any, records: Records) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidValue(name, f"The {_label(name, field)} must be an array.")
    ids = [item.get("id") if isinstance(item, dict) else None for item in value]
    for position, id_ in enumerate(ids):
        if not _exists(field.to, id_, records):
            key = f"{name}.{position}.id"
            raise InvalidValue(key, f"The selected {key} is invalid.")
    return list(dict.fromkeys(ids))


def _exists(table: str, id_: Any, records: Records) -> bool:
    return isinstance(id_, (int, str)) and not isinstance(id_, bool) and records.row(table, id_) is not None


def _is_date(value: str) -> bool:
    if not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=256)
def _is_timezone(value: str) -> bool:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        return False
    return True


def _trimmed(value: Any, options: TargetOptions) -> Any:
    if isinstance(value, str) and options.trims_text:
        return value.strip() or None
    return value


def _label(name: str, field: Field) -> str:
    return field.label or name.replace("_", " ")
