"""A ledger of a company's first days, written through the ledger itself as runs write it, by a clock of the test's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ledger_entries import change_of

from safetyamp_pipelines.ledger import Ledger, LoggedChange
from safetyamp_pipelines.sync.model.plan import Change, Outcome, Verdict

SAID = {"create": "created", "update": "updated", "deactivate": "deactivated", "reactivate": "reactivated"}


@dataclass
class History:
    """Runs of one entity, one after the other. `now` is the ledger's clock, moved by the test."""

    ledger: Ledger
    clock: Any
    entity: str = "employees"
    _runs: int = field(default=0, init=False)

    def at(self, text: str) -> None:
        """Set the clock, as "2026-11-20 10:00" UTC."""
        self.clock.now = datetime.fromisoformat(text).replace(tzinfo=UTC)

    def look(self, **verdicts: str) -> str:
        """A run that looks at the sources now and plans; the id of the run. Keys are e1, e2 …"""
        self._runs += 1
        run = f"{self.entity}-{self._runs}"
        self.ledger.log_verdicts(run, self.entity, self.clock.now, verdicts_of(verdicts))
        return run

    def push(self, minutes: float = 2, actions: Mapping[str, str] | None = None, **answers: Any) -> str:
        """A run that looks now, wants every record named changed, and has the answers given some minutes later.

        An answer is a status, or (status, HTTP status, error, rule); None is an answer that never came.
        """
        wanted = {key: (actions or {}).get(key, "update") for key in answers}
        run = self.look(**{key: SAID[action] for key, action in wanted.items()})
        session = self.ledger.start_session(run, self.entity, "plan", {})
        intents = {key: self.ledger.intend(session, sent_change(key, wanted[key])) for key in answers}
        self.clock.now += timedelta(minutes=minutes)
        outcomes = {}
        for key, answer in answers.items():
            status, http_status, error, rule = answer if isinstance(answer, tuple) else (answer, None, None, None)
            if status is not None:
                self.ledger.answer(intents[key], status, http_status=http_status, error=error, rule=rule, target_id="x")
            outcomes[key] = SAID[wanted[key]] if status == "done" else "failed"
        self.ledger.end_session(session, "done", {}, len(answers))
        self.ledger.log_verdicts(run, self.entity, self.clock.now, verdicts_of(outcomes))
        return run

    def last(self, key: str) -> LoggedChange:
        """The newest change of a record."""
        return self.ledger.changes(entity=self.entity, source_key=key, limit=1)[0]


def sent_change(key: str, action: str) -> Change:
    after, before = {"first_name": "Nora", "email": "nora.test@example.com"}, {"first_name": "Norah"}
    return change_of(key, after, before, action=action, target_id=None if action == "create" else "u1")


def verdicts_of(said: Mapping[str, str]) -> list[Verdict]:
    return [Verdict(key, Outcome(outcome), "a rule") for key, outcome in said.items()]
