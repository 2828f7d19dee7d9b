"""What a planner is given: verified snapshots, what the ledger remembers, and the state expected of earlier plans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import replace
from datetime import date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from safetyamp_pipelines.sync.model.errors import SnapshotError
from safetyamp_pipelines.sync.model.kinds import NO_RULES, CompanyRules
from safetyamp_pipelines.sync.model.remembered import Memory
from safetyamp_pipelines.sync.model.snapshot import Certificate, Columns, Record, Snapshot
from safetyamp_pipelines.sync.model.tables import References


class WholeCompany(Protocol):
    """What of sync.yaml concerns every entity."""

    @property
    def companies(self) -> tuple[int, ...]: ...
    @property
    def timezone(self) -> str: ...
    @property
    def company_rules(self) -> Mapping[int, CompanyRules]: ...


class Inputs:
    """The certified snapshots one planner reads, and SafetyAmp as the plans before it leave it."""

    def __init__(
        self,
        snapshots: Mapping[str, Snapshot],
        expected: References,
        memory: Memory,
        rules: WholeCompany,
        unread: Mapping[str, str] | None = None,
    ) -> None:
        """Refuses (SnapshotError) any snapshot without a fitting certificate. `unread` are snapshots, and plans before
        this one, that are not there, each with the reason: what rests on them stays as it is."""
        self.unread = unread or {}
        self._snapshots = {name: snapshot.verified() for name, snapshot in snapshots.items()}
        self.expected = expected
        self.memory = memory
        self.companies = rules.companies
        self._company_rules = rules.company_rules
        self._timezone = ZoneInfo(rules.timezone)

    def snapshot(self, table: str) -> Snapshot:
        """The snapshot of that table, without rows where it was not read; SnapshotError when it was not given."""
        if table in self.unread:
            return Snapshot(table, (), None)
        if table not in self._snapshots:
            raise SnapshotError(f"{table}: the plan needs this snapshot and was not given it")
        return self._snapshots[table]

    def narrowed(self, table: str, records: tuple[Record, ...]) -> Inputs:
        """The same with these records alone in that table, to look at them: no plan is made of it."""
        narrow = copy(self)
        narrow._snapshots = {**self._snapshots, table: replace(self.snapshot(table), records=records)}
        return narrow

    def certificate(self, table: str) -> Certificate:
        """The certificate of a verified snapshot."""
        certificate = self.snapshot(table).certificate
        if certificate is None:
            raise SnapshotError(f"{table}: the snapshot has no certificate")
        return certificate

    def hashes(self) -> dict[str, str]:
        """Content hash of every snapshot given, by table: the plan's provenance."""
        return {table: self.certificate(table).content_hash for table in sorted(self._snapshots)}

    def as_of(self, table: str) -> str:
        """When that table was read (ISO 8601 UTC): a plan has no clock of its own."""
        return self.certificate(table).read_at

    def oldest(self) -> str:
        """When the first of all these snapshots was read (ISO 8601 UTC)."""
        return min((self.as_of(table) for table in self._snapshots), key=datetime.fromisoformat)

    def rules_of(self, company: object) -> CompanyRules:
        """What that company has of its own."""
        return self._company_rules.get(company, NO_RULES) if isinstance(company, int) else NO_RULES

    def today(self, table: str) -> date:
        """The calendar day of that read in the time zone of the company."""
        return datetime.fromisoformat(self.as_of(table)).astimezone(self._timezone).date()

    def columns(self, table: str, names: Iterable[str]) -> Columns:
        """The records by column, named `<table>.<Column>`; a column that no record has is empty."""
        records = self.snapshot(table).records
        return {f"{table}.{name}": [record.get(name) for record in records] for name in names}
