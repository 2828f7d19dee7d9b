"""Plans as things of their own: their bytes, their hash, their counts."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from small_worlds import company, employee, plan_of

from safetyamp_pipelines.sync.model.plan import (
    AT_ONCE,
    Action,
    Agreed,
    Change,
    Finding,
    Outcome,
    Plan,
    Verdict,
    payload_hash,
)

TEXT = st.text(max_size=8)
VALUE = st.one_of(st.none(), st.integers(-5, 5), TEXT)
ID = st.one_of(st.integers(0, 99), TEXT)


def plans() -> st.SearchStrategy[Plan]:
    fields: Any = st.dictionaries(TEXT, st.tuples(VALUE, VALUE), max_size=3)
    action = st.sampled_from(list(Action))
    changes = st.builds(Change, action, TEXT, TEXT, st.none() | ID, fields, TEXT, TEXT, st.integers(0, 3))
    texts = st.lists(TEXT, max_size=2).map(tuple)
    verdicts = st.builds(Verdict, TEXT, st.sampled_from(list(Outcome)), TEXT, texts, texts)
    agreed = st.builds(Agreed, TEXT, TEXT, ID, st.dictionaries(TEXT, VALUE, max_size=2))
    lists = [
        st.lists(items, max_size=3).map(tuple) for items in (changes, verdicts, st.builds(Finding, TEXT, TEXT, TEXT))
    ]
    inputs = st.dictionaries(TEXT, TEXT, max_size=2)
    return st.builds(Plan, TEXT, TEXT, TEXT, inputs, TEXT, *lists, st.lists(agreed, max_size=2).map(tuple))


@settings(max_examples=40)
@given(plans())
def test_a_plan_comes_back_from_its_bytes_whole(plan: Plan) -> None:
    again = Plan.from_bytes(plan.to_bytes())

    assert again == plan
    assert again.to_bytes() == plan.to_bytes()
    assert again.hash == plan.hash


def test_a_long_plan_has_the_bytes_and_the_hash_of_one_canonical_text() -> None:
    many = range(2 * AT_ONCE + 1)
    changes = tuple(Change(Action.LINK, f"{n}", f"ä{n}", n, {}, "", "") for n in many)
    verdicts = tuple(Verdict(f"{n}", Outcome.LINKED, "") for n in many)
    plan = Plan("employees", "users", "", {}, "rules", changes, verdicts)

    def canonical(value: Any) -> str:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    text = gzip.decompress(plan.to_bytes()).decode()
    found = json.loads(text)
    done = canonical([found["entity"], found["config_hash"], found["changes"]])
    assert text == canonical(found)
    assert plan.hash == hashlib.sha256(done.encode()).hexdigest()
    assert Plan.from_bytes(plan.to_bytes()) == plan


@settings(max_examples=25)
@given(plans(), plans())
def test_the_hash_tells_what_would_be_done_and_under_which_rules(one: Plan, other: Plan) -> None:
    def done(plan: Plan) -> Any:
        return plan.entity, plan.config_hash, plan.changes

    assert (one.hash == other.hash) == (done(one) == done(other))


@settings(max_examples=25)
@given(plans(), TEXT)
def test_a_plan_made_again_from_the_same_facts_is_the_plan_that_was_reviewed(plan: Plan, later: str) -> None:
    assert replace(plan, as_of=later, inputs={"read": later}).hash == plan.hash


def test_counts_add_up_to_the_source_records() -> None:
    plan = plan_of("employees", company(viewpoint__employees=[employee(1), employee(2), employee(3, Email=None)]))

    assert plan.counts() == {"created": 2, "rejected": 1}
    assert sum(plan.counts().values()) == len(plan.verdicts)


def test_the_manifest_holds_no_keys_and_no_values() -> None:
    plan = plan_of("employees", company(viewpoint__employees=[employee(100482, FirstName="Marked")]))

    assert "100482" not in str({**plan.manifest(), "plan_hash": ""})
    assert "Marked" not in str(plan.manifest())


def test_equal_hashes_mean_the_same_call_whatever_kind_of_update_it_is() -> None:
    link, update = (payload_hash("employees", kind, {"a": 1}) for kind in (Action.LINK, Action.UPDATE))

    assert link == update
    assert link != payload_hash("employees", Action.CREATE, {"a": 1})
    assert link != payload_hash("jobs", Action.UPDATE, {"a": 1})
    assert link != payload_hash("employees", Action.UPDATE, {"a": 2})
