"""A SafetyAmp listing is read whole or is an error, at the least number of calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from safetyamp_pipelines.sync.model.errors import ReadError
from safetyamp_pipelines.systems.safetyamp import ListingShifted, PageWalk, flattened

Page = list[dict[str, Any]]


class Server:
    """Pages over rows 1..total, as SafetyAmp gives them; notes every (page, limit) asked."""

    def __init__(self, total: int, *, cap: int | None = None, offset_from_asked_limit: bool = False) -> None:
        self.rows = [{"id": number} for number in range(1, total + 1)]
        self.asked: list[tuple[int, int]] = []
        self._cap, self._offset_from_asked_limit = cap, offset_from_asked_limit

    def __call__(self, page: int, limit: int) -> Any:
        self.asked.append((page, limit))
        size = min(limit, self._cap or limit)
        offset = page * (limit if self._offset_from_asked_limit else size)
        return {"data": self.rows[offset : offset + size]}


def pages_of(*pages: Page) -> Callable[[int, int], Any]:
    """Exactly these pages, in the order of asking, whatever is asked."""
    following: Iterator[Page] = iter(pages)
    return lambda page, limit: {"data": next(following)}


def rows_of(*ids: int) -> Page:
    return [{"id": number} for number in ids]


def walk(fetch: Callable[[int, int], Any], *, limit: int = 2, previous_rows: int | None = None) -> list[int]:
    return [row["id"] for row in PageWalk("users", fetch, limit=limit, previous_rows=previous_rows).read()]


@pytest.mark.parametrize(
    ("total", "limit", "calls"),
    [(0, 100, 1), (1, 100, 2), (99, 100, 2), (100, 100, 2), (101, 100, 3), (2000, 25, 81), (2000, 100, 21)],
)
def test_a_table_costs_its_pages_and_the_empty_one_at_its_end(total: int, limit: int, calls: int) -> None:
    server = Server(total)

    assert len(walk(server, limit=limit, previous_rows=total)) == total

    assert len(server.asked) == calls


@pytest.mark.parametrize("offset_from_asked_limit", [False, True])
@pytest.mark.parametrize("total", [0, 3, 10, 19, 20, 47])
def test_a_server_that_gives_fewer_than_asked_is_read_whole(total: int, offset_from_asked_limit: bool) -> None:
    server = Server(total, cap=10, offset_from_asked_limit=offset_from_asked_limit)

    assert len(walk(server, limit=100, previous_rows=total)) == total

    assert server.asked[0] == (0, 100)
    assert {limit for _, limit in server.asked[1:]} <= {min(10, total)}


def test_a_server_that_gives_more_than_asked_is_read_whole() -> None:
    assert walk(pages_of(rows_of(1, 2, 3), rows_of(4, 5, 6), [], []), limit=2) == [1, 2, 3, 4, 5, 6]


def test_a_row_that_comes_again_on_a_later_page_means_the_listing_shifted() -> None:
    with pytest.raises(ListingShifted):
        walk(pages_of(rows_of(1, 2), rows_of(2, 3), []))


def test_a_page_that_comes_twice_means_the_listing_shifted() -> None:
    with pytest.raises(ListingShifted):
        walk(pages_of(rows_of(1, 2), rows_of(1, 2), rows_of(3, 4), []))


def test_a_row_twice_on_one_page_means_the_listing_shifted() -> None:
    with pytest.raises(ListingShifted):
        walk(pages_of(rows_of(1, 1), []))


def test_rows_after_a_page_that_was_not_full_mean_the_listing_shifted() -> None:
    with pytest.raises(ListingShifted):
        walk(pages_of(rows_of(1, 2), rows_of(3), rows_of(4), []))


def test_an_empty_page_in_the_middle_is_asked_again_when_more_rows_were_known() -> None:
    assert walk(pages_of(rows_of(1, 2), [], rows_of(3, 4), []), previous_rows=4) == [1, 2, 3, 4]


def test_an_empty_first_page_is_asked_again_when_rows_were_known() -> None:
    assert walk(pages_of([], rows_of(1, 2), []), previous_rows=2) == [1, 2]


def test_a_table_that_really_shrank_is_believed_the_second_time() -> None:
    assert walk(pages_of(rows_of(1, 2), [], []), previous_rows=4) == [1, 2]
    assert walk(pages_of([], []), previous_rows=4) == []


def test_an_empty_first_page_of_a_table_that_was_never_read_is_asked_for_once_more() -> None:
    assert walk(pages_of([], rows_of(1, 2), [], []), previous_rows=None) == [1, 2]


def test_an_empty_table_costs_one_call_more_as_long_as_nothing_is_known_of_it() -> None:
    asked = []
    for previous_rows in (None, 0):
        server = Server(0)
        assert walk(server, previous_rows=previous_rows) == []
        asked.append(server.asked)

    assert asked == [[(0, 2), (0, 2)], [(0, 2)]]


def test_an_empty_page_behind_a_full_one_is_asked_for_once_more_in_a_table_that_was_never_read() -> None:
    assert walk(pages_of(rows_of(1, 2), [], rows_of(3, 4), [], rows_of(5), []), previous_rows=None) == [1, 2, 3, 4, 5]


def test_a_first_page_with_fewer_rows_than_asked_is_the_whole_of_a_table_that_was_never_read() -> None:
    server = Server(2)

    walk(server, limit=3, previous_rows=None)

    assert server.asked == [(0, 3), (1, 2)]


@pytest.mark.parametrize("previous_rows", [0, 1, 2])
def test_a_plausible_end_is_not_asked_again(previous_rows: int | None) -> None:
    server = Server(2)

    walk(server, limit=2, previous_rows=previous_rows)

    assert server.asked == [(0, 2), (1, 2)]


def test_the_end_after_a_page_that_was_not_full_is_certain() -> None:
    server = Server(3)

    assert walk(server, limit=2, previous_rows=100) == [1, 2, 3]

    assert server.asked == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        [{"id": 1}],
        {},
        {"data": None},
        {"data": {}},
        {"data": {"id": 1}},
        {"message": "ok"},
        {"data": ["x"]},
        {"data": [{}]},
        {"data": [{"id": None}]},
        {"data": [{"id": ""}]},
        {"data": [{"id": True}]},
        {"data": [{"id": 1.5}]},
        {"data": [{"id": [1]}]},
    ],
    ids=str,
)
def test_an_answer_that_is_no_listing_is_an_error_never_empty(answer: Any) -> None:
    with pytest.raises(ReadError, match="users was not read whole"):
        walk(lambda page, limit: answer)


def test_ids_differ_by_case_and_by_type() -> None:
    rows: Page = [{"id": "aB3dE"}, {"id": "ab3de"}, {"id": "1"}, {"id": 1}]

    assert len(PageWalk("users", pages_of(rows, []), limit=4, previous_rows=4).read()) == 4


def test_extra_keys_beside_the_data_are_no_harm() -> None:
    fetch = pages_of(rows_of(1), [])

    assert walk(lambda page, limit: fetch(page, limit) | {"meta": {"total": 1}, "links": {}}) == [1]


def test_a_tree_is_flattened_parents_first_and_keeps_every_other_field() -> None:
    tree: Page = [
        {"id": 1, "name": "root", "children": [{"id": 2, "children": [{"id": 3, "children": []}]}, {"id": 4}]},
        {"id": 5, "children": None},
    ]

    assert flattened("site_clusters", tree) == [{"id": 1, "name": "root"}, {"id": 2}, {"id": 3}, {"id": 4}, {"id": 5}]
    assert tree[0]["children"], "the answer itself is left as it was"


@pytest.mark.parametrize(
    "tree",
    [[{"id": 1, "children": [{"id": 1}]}], [{"id": 1, "children": [{"id": 2}, {"id": 2}]}], [{"id": 1}, {"id": 1}]],
    ids=["below itself", "twice below one", "twice at the top"],
)
def test_a_node_that_stands_in_the_tree_twice_is_refused(tree: Page) -> None:
    with pytest.raises(ListingShifted):
        flattened("site_clusters", tree)


def test_a_tree_that_bites_its_tail_ends() -> None:
    node: dict[str, Any] = {"id": 1}
    node["children"] = [node]

    with pytest.raises(ListingShifted):
        flattened("site_clusters", [node])


@pytest.mark.parametrize("children", [{"id": 2}, "2", [2], [{"name": "no id"}]], ids=str)
def test_children_that_are_no_records_are_an_error(children: Any) -> None:
    with pytest.raises(ReadError, match="not a record"):
        flattened("site_clusters", [{"id": 1, "children": children}])


def test_a_deep_tree_is_no_trouble() -> None:
    node: dict[str, Any] = {"id": 0, "children": []}
    for number in range(1, 5000):
        node = {"id": number, "children": [node]}

    assert len(flattened("site_clusters", [node])) == 5000
