"""Who gets what waits for people: an address for a department, a company, an entity, or everything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated

from pydantic import AfterValidator, Field

from safetyamp_pipelines.sync.model import clean
from safetyamp_pipelines.sync.model.kinds import Identifier, Section, SourceKey, TinyInt
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.model.spec import EntitySpec
from safetyamp_pipelines.sync.model.tables import fold


def _address(text: str) -> str:
    with suppress(clean.Unclean):
        if (address := clean.email(text, "")) is not None:
            return address
    raise ValueError("must be one e-mail address, such as hr@example.com")


Address = Annotated[str, AfterValidator(_address)]


class OwnersConfig(Section):
    """Who gets which records in the digest; the most special address counts: department, company, entity, default."""

    default: Address | None = Field(
        default=None, description="Address for records that no other owner gets; null: those who get the alerts."
    )
    entities: dict[Identifier, Address] = Field(default={}, description="Entity, such as employees, to address.")
    companies: dict[TinyInt, Address] = Field(default={}, description="Company number to address.")
    departments: dict[SourceKey, Address] = Field(default={}, description="Department code to address.")

    def addresses(self) -> Iterator[str]:
        """Every address once."""
        found = [*self.departments.values(), *self.companies.values(), *self.entities.values(), self.default]
        yield from dict.fromkeys(address for address in found if address is not None)


def owner_of(owners: OwnersConfig, spec: EntitySpec, row: Record | None = None) -> str | None:
    """The address that gets what is found of a record. `row` is the record's row in the table of its key; None for what
    has none, such as an account that no source knows. None where sync.yaml names nobody."""
    row, key = row or {}, spec.key
    department = fold(row.get(key.department or "") or "", case=True)
    for code, address in owners.departments.items():
        if department and fold(code, case=True) == department:
            return address
    company = owners.companies.get(row.get(key.company or "", -1))
    return company or owners.entities.get(spec.name) or owners.default
