"""What people see in the Dagster UI, read by a real browser. Skipped where no Chromium is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import Browser, browser, found
from pages import PAGES, Page
from room import ControlRoom

pytestmark = [
    pytest.mark.xdist_group("control room"),
    pytest.mark.skipif(found() is None, reason="no Chromium here: `apt-get install chromium` brings it"),
]


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_tells_what_an_operator_looks_for(synced_room: ControlRoom, tab: Browser, page: Page) -> None:
    assert tab.open_until(f"{synced_room.url}{page.path}", page.tells) == [], tab.text
