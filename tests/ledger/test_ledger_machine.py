"""Random histories: whatever is done in whatever order, the ledger says the same as a dictionary in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from ledger_entries import change_of, refuse

from safetyamp_pipelines.ledger import IntentOpen, Ledger

KEYS = st.sampled_from(["1", "2", "3"])
TARGETS = st.sampled_from(["aB3dE", "ab3de", 12345, "12345"])
FIELDS = st.dictionaries(st.sampled_from(["city", "state"]), st.none() | st.text(max_size=3), max_size=2)
HASHES = st.dictionaries(st.sampled_from(["zip", "fax"]), st.none() | st.sampled_from(["h1", "h2"]), max_size=2)


class LedgerMachine(RuleBasedStateMachine):
    """The ledger beside its model: links, open creates and failures as plain dictionaries."""

    def __init__(self, make_url: Callable[[], str]) -> None:
        super().__init__()
        self.url = make_url()
        self.ledger = Ledger.open(self.url)
        self.links: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {}
        self.open: dict[str, int] = {}
        self.attempts: dict[str, int] = {}

    @initialize()
    def begin(self) -> None:
        self.session = self.ledger.start_session("run", "employees", "hash", {})

    @rule(key=KEYS)
    def intend_create(self, key: str) -> None:
        try:
            change_id = self.ledger.intend(self.session, change_of(key, {}, natural_key=f"n{key}"))
        except IntentOpen:
            assert key in self.open
        else:
            assert key not in self.open
            self.open[key] = change_id

    @rule(key=KEYS, target_id=TARGETS, pushed=FIELDS, not_taken=HASHES)
    def answer_done(self, key: str, target_id: Any, pushed: dict[str, Any], not_taken: dict[str, Any]) -> None:
        if key not in self.open:
            return
        change_id = self.open.pop(key)
        self.ledger.answer(change_id, "done", target_id=target_id, pushed=pushed, not_taken=not_taken)
        self.remember(key, target_id, pushed, not_taken)
        self.attempts.pop(key, None)

    @rule(key=KEYS)
    def answer_failed(self, key: str) -> None:
        if key in self.open:
            self.ledger.answer(self.open.pop(key), "failed", http_status=422)
            refuse(self.ledger, "employees", key, fields={"email": ("unknown", "")})
            self.attempts[key] = self.attempts.get(key, 0) + 1

    @rule(key=KEYS)
    def drop_link(self, key: str) -> None:
        has_open = any(intent.source_key == key for intent in self.ledger.open_intents("employees"))
        if not has_open:
            unlinked = self.ledger.unlink("employees", key, "Kim", "wrong")
            assert (unlinked is not None) == (self.links.pop(key, None) is not None)

    @rule()
    def open_again(self) -> None:
        self.ledger.close()
        self.ledger = Ledger.open(self.url)

    @invariant()
    def the_ledger_says_the_same(self) -> None:
        links = self.ledger.links("employees")
        assert {key: (link.target_id, link.pushed, link.not_taken) for key, link in links.items()} == self.links
        assert {change.source_key: change.id for change in self.ledger.open_intents("employees")} == self.open
        failures = self.ledger.failures("employees")
        assert {key: failure.attempts for key, failure in failures.items()} == self.attempts

    def teardown(self) -> None:
        self.ledger.close()

    def remember(self, key: str, target: Any, pushed: dict[str, Any], not_taken: dict[str, Any]) -> None:
        self.links = {other: link for other, link in self.links.items() if other == key or link[0] != target}
        old_target, old_pushed, old_not_taken = self.links.get(key, (target, {}, {}))
        if old_target != target:
            old_pushed, old_not_taken = {}, {}
        refused = {field: found for field, found in {**old_not_taken, **not_taken}.items() if found is not None}
        self.links[key] = (target, {**old_pushed, **pushed}, refused)


def test_the_ledger_says_what_a_dictionary_would(new_url: Callable[[], str]) -> None:
    run_state_machine_as_test(
        lambda: LedgerMachine(new_url), settings=settings(max_examples=10, stateful_step_count=12, deadline=None)
    )
