"""Who gets what waits for people: the most special address of sync.yaml."""

from __future__ import annotations

import pytest
from small_worlds import config, department, employee, job, vehicle

from safetyamp_pipelines.sync.entities.registry import BY_NAME
from safetyamp_pipelines.sync.model.snapshot import Record
from safetyamp_pipelines.sync.rules.owners import owner_of

OWNERS = config(
    owners={
        "default": "Desk@Example.com",
        "entities": {"employees": "hr@example.com", "titles": "hr@example.com"},
        "companies": {2: "second@example.com"},
        "departments": {10: "south@example.com", "20 ": "north@example.com"},
    }
).owners


@pytest.mark.parametrize(
    ("entity", "row", "address"),
    [
        ("employees", employee(5), "south@example.com"),
        ("employees", employee(5, PRDept=" 20", PRCo=2), "north@example.com"),
        ("employees", employee(5, PRDept="30", PRCo=2), "second@example.com"),
        ("employees", employee(5, PRDept="30"), "hr@example.com"),
        ("employees", employee(5, PRDept=None), "hr@example.com"),
        ("employees", None, "hr@example.com"),
        ("titles", employee(5), "hr@example.com"),
        ("departments", department("20"), "north@example.com"),
        ("jobs", job("1."), "south@example.com"),
        ("jobs", job("1.", None), "desk@example.com"),
        ("vehicles", vehicle("1"), "desk@example.com"),
    ],
)
def test_the_most_special_address_gets_the_record(entity: str, row: Record | None, address: str) -> None:
    assert owner_of(OWNERS, BY_NAME[entity], row) == address


def test_without_owners_nobody_is_named_and_no_address_is_met_twice() -> None:
    assert owner_of(config().owners, BY_NAME["employees"], employee(5)) is None
    assert list(OWNERS.addresses()) == [
        *("south@example.com", "north@example.com", "second@example.com", "hr@example.com", "desk@example.com")
    ]
