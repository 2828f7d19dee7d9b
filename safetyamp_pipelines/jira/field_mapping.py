"""The mapping: which column of `jira_issues` holds which field of which instance. Pure: versions are in `book.py`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from safetyamp_pipelines.jira.values import ABSENT, ColumnType, Pick, Untyped, at_path, picked, plain_text, typed
from safetyamp_pipelines.sync.model.errors import Refusal
from safetyamp_pipelines.sync.model.yaml_text import NotYaml, values_of

EVERYWHERE = "*"
FIXED = (
    *("instance", "issue_id", "issue_key", "project_key", "old_keys", "created", "updated", "read_at"),
    *("mapping_version", "gone_at", "gone_why", "untyped", "changes_of"),
)
"""The columns that every row has and no mapping may name."""
MOST_COLUMNS = 500
_COLUMN = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def _column_name(name: str) -> str:
    if not _COLUMN.fullmatch(name):
        raise ValueError("is not a column name: use lower-case letters, digits and _, at most 63")
    if name in FIXED:
        raise ValueError("is a column that every row has; give this one another name")
    return name


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Transition(_Part):
    """The time of a change in the changelog: when the field became `to` (and was `from` before, if given)."""

    field: str = Field(default="status", description="Name or id of the field whose change counts.")
    to: str = Field(description="The value it was changed to, as people read it.")
    before: str | None = Field(default=None, description="The value it had before; any without it.")
    which: Literal["first", "last"] = "first"


class Source(_Part):
    """Where a column's value comes from in one instance; exactly one of `field`, `fields` and `when`."""

    field: str | None = Field(default=None, description="A field id, such as customfield_10101 or status.name.")
    fields: tuple[str, ...] = Field(default=(), description="Several fields, combined.")
    combine: str = Field(default="first", description="`first`: the first that is not empty; else the text between.")
    pick: Pick | None = Field(default=None, description="One element of a list, such as the active sprint.")
    when: Transition | None = Field(default=None, description="A time taken from the changelog.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum((self.field is not None, bool(self.fields), self.when is not None)) != 1:
            raise ValueError("needs exactly one of field, fields and when")
        if self.when is not None and self.pick is not None:
            raise ValueError("pick goes with field or fields, not with when")
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """What is read of an issue."""
        return self.fields or ((self.field,) if self.field else ())


class Column(_Part):
    """One column: its type, which never changes, and its source in each instance (`*`: in all others)."""

    type: ColumnType
    description: str = ""
    sources: Mapping[str, Source] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, given: Any) -> Any:
        """`{type: text, field: summary}` is the same source everywhere."""
        if not isinstance(given, dict):
            return given
        source = {name: given[name] for name in Source.model_fields if name in given}
        if not source:
            return given
        if "sources" in given:
            raise ValueError("has both sources and a source of its own; put that under sources as '*'")
        return {**{name: value for name, value in given.items() if name not in source}, "sources": {EVERYWHERE: source}}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name, source in self.sources.items():
            if source.when is not None and self.type not in ("date", "datetime"):
                raise ValueError(f"takes a time from the changelog in {name}: its type must be datetime or date")
            if len(source.paths) > 1 and source.combine != "first" and self.type != "text":
                raise ValueError(f"joins several fields to a text in {name}: its type must be text, or combine: first")
        return self

    def source(self, instance: str) -> Source | None:
        """The source in this instance, if it has one."""
        return self.sources.get(instance, self.sources.get(EVERYWHERE))


class FieldMapping(_Part):
    """The whole document."""

    columns: Mapping[Annotated[str, AfterValidator(_column_name)], Column] = Field(max_length=MOST_COLUMNS)

    def fields_of(self, instance: str) -> list[str]:
        """The field ids to ask this instance for."""
        paths = (path for _, source in self.sources_of(instance) for path in source.paths)
        return list(dict.fromkeys(path.partition(".")[0] for path in paths))

    def sources_of(self, instance: str) -> Iterator[tuple[str, Source]]:
        """Every column with a source in this instance."""
        for name, column in self.columns.items():
            if (source := column.source(instance)) is not None:
                yield name, source

    def rules(self, instance: str, *, when: bool = False) -> dict[str, str]:
        """By column a hash of what fills it in this instance, from fields or (`when`) from the changelog.

        Where one differs from what was used, the column has to be filled again."""
        return {
            name: _hash([self.columns[name].type, source.model_dump(mode="json")])
            for name, source in self.sources_of(instance)
            if (source.when is not None) == when
        }

    def document(self) -> dict[str, Any]:
        """As it is stored: plain values, without what is at its default."""
        return self.model_dump(mode="json", exclude_defaults=True)


def mapping_schema() -> dict[str, Any]:
    """The JSON schema of the document, the short form of a column included; `mapping.schema.json` holds it."""
    schema = FieldMapping.model_json_schema()
    column, source = schema["$defs"]["Column"], schema["$defs"]["Source"]
    column["properties"] |= source["properties"]
    column["required"] = ["type"]
    column["oneOf"] = [{"required": [name]} for name in ("sources", "field", "fields", "when")]
    return schema


_Document = TypeVar("_Document", bound=BaseModel)


class MappingError(Refusal):
    """The mapping cannot be used; one line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"the Jira mapping: {problem}" for problem in problems))


def parse_mapping(document: Any) -> FieldMapping:
    """The mapping of a document; MappingError with everything that is wrong in it."""
    return _validated(FieldMapping, document)


def _validated(kind: type[_Document], document: Any) -> _Document:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        problems = []
        for one in error.errors(include_input=False, include_url=False):
            place = ".".join(str(part) for part in one["loc"] if part != "[key]") or "the document"
            problems.append(f"{place}: {one['msg'].removeprefix('Value error, ')}")
        raise MappingError(problems) from None


def read_mapping(text: str) -> FieldMapping:
    """The mapping of a YAML (or JSON) text. Raises MappingError."""
    try:
        return parse_mapping(values_of(text))
    except NotYaml as error:
        raise MappingError([str(error)]) from None


def packaged_mapping() -> FieldMapping:
    """The mapping to begin with: the fields that every Jira has."""
    return read_mapping((resources.files("safetyamp_pipelines.jira") / "mapping.yaml").read_text(encoding="utf-8"))


def row_values(
    mapping: FieldMapping, instance: str, fields: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The columns of one issue as far as its fields fill them, and why some could not be typed.

    A column whose fields are all absent from the answer is ABSENT: it keeps what it has.
    """
    values: dict[str, Any] = {}
    untyped: dict[str, str] = {}
    for name, source in mapping.sources_of(instance):
        if source.when is not None:
            continue
        raw = _raw(source, fields)
        try:
            values[name] = raw if raw is ABSENT else typed(mapping.columns[name].type, raw)
        except Untyped as reason:
            values[name], untyped[name] = None, str(reason)
    return values, untyped


def _raw(source: Source, fields: Mapping[str, Any]) -> Any:
    paths = source.paths
    if len(paths) == 1:
        raw = at_path(fields, paths[0])
        return raw if source.pick is None or raw is ABSENT else picked(raw, source.pick)
    found = [at_path(fields, path) for path in paths]
    present = [one for one in found if one is not ABSENT]
    if not present:
        return ABSENT
    if source.pick is not None:
        present = [picked(one, source.pick) for one in present]
    if source.combine == "first":
        return next((one for one in present if one not in (None, "", [], {})), None)
    return source.combine.join(text for text in map(plain_text, present) if text)


def differences(before: FieldMapping | None, after: FieldMapping) -> dict[str, str]:
    """By column what a new version does: added, removed or changed."""
    old = before.document()["columns"] if before is not None else {}
    new = after.document()["columns"]
    words = {name: "added" if name not in old else "changed" for name in new if new[name] != old.get(name)}
    return {**words, **{name: "removed" for name in old if name not in new}}


def problems_with(mapping: FieldMapping, catalogue: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the catalogues (by instance, by field id) contradict: unknown instances and fields."""
    strangers = [
        f"{name}: there is no instance {instance}"
        for name, column in mapping.columns.items()
        for instance in column.sources
        if catalogue and instance not in (EVERYWHERE, *catalogue)
    ]
    missing = [
        f"{name}: {instance} has no field {path.partition('.')[0]}"
        for instance, fields in catalogue.items()
        for name, source in mapping.sources_of(instance)
        for path in source.paths
        if fields and path.partition(".")[0] not in fields
    ]
    return strangers + missing


_OLD_TYPES = {"string": "text", "status": "text", "array": "list", "object": "json"}
_OLD_PLAIN = {"summary", "status", "issue_key", "project_name", "location_name", "last_updated"}
_OLD_JOINS = {"space": " ", "comma": ", "}


class _OldSource(BaseModel):
    """Where a value comes from in the old document; its other keys are for the old pages."""

    transition_name: str | None = None
    field_ids: tuple[str, ...] | None = None
    combine: str | None = None
    combine_method: str | None = None
    field_id: str | None = None

    def source(self) -> dict[str, Any] | None:
        """The same as a source of ours, if it names a field."""
        if self.transition_name:
            return {"when": {"to": self.transition_name}}
        if self.field_ids:
            how = self.combine or self.combine_method or "space"
            return {"fields": self.field_ids, "combine": _OLD_JOINS.get(how, "first")}
        return {"field": self.field_id} if self.field_id else None


class _OldField(_OldSource):
    """A field of the old document; a source of one instance is under that instance's name."""

    model_config = ConfigDict(extra="allow")

    type: str = "string"
    description: str | None = None


class _OldGroup(BaseModel):
    fields: Mapping[str, _OldField] | None = None


class _OldDocument(BaseModel):
    instances: Mapping[str, Any] | None = None
    field_groups: Mapping[str, _OldGroup] | None = None


def imported_mapping(text: str) -> tuple[FieldMapping, list[str]]:
    """The mapping of the old dashboard's document, and what of it could not be taken over. Raises MappingError."""
    try:
        old = _validated(_OldDocument, json.loads(text))
    except json.JSONDecodeError as error:
        raise MappingError([f"line {error.lineno}: is not JSON"]) from None
    columns: dict[str, Any] = {}
    left: list[str] = []
    groups = (old.field_groups or {}).values()
    for name, field in ((name, field) for group in groups for name, field in (group.fields or {}).items()):
        column = name if name in _OLD_PLAIN or name.startswith("ndpu_") else f"ndpu_{name}"
        if column in FIXED:
            left.append(f"{name}: every row has it")
            continue
        more = field.model_extra or {}
        own = {one: more[one] for one in old.instances or () if isinstance(more.get(one), dict)}
        given = {one: _validated(_OldSource, about) for one, about in own.items()} or {EVERYWHERE: field}
        sources = {one: source for one, about in given.items() if (source := about.source()) is not None}
        left += [f"{name}: no field in {one}" for one in given if one not in sources]
        if sources:
            kind = _OLD_TYPES.get(field.type, field.type)
            columns[column] = {"type": kind, "description": field.description or "", "sources": sources}
    return parse_mapping({"columns": columns}), left


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
