"""What people see in the Dagster UI, read by a real browser. Skipped where no Chromium is installed."""

from __future__ import annotations

import browser
import pytest
from pages import PAGES, Page
from room import ControlRoom

pytestmark = [
    pytest.mark.xdist_group("control room"),
    pytest.mark.skipif(browser.found() is None, reason="no Chromium here: `apt-get install chromium` brings it"),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_tells_what_an_operator_looks_for(synced_room: ControlRoom, page: Page) -> None:
    seen = browser.words(f"{synced_room.url}{page.path}").casefold()

    assert [word for word in page.tells if word.casefold() not in seen] == []
