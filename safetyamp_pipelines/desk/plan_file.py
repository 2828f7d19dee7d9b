"""A plan as one self-contained page, for people who get it by mail: nothing is loaded, and its head shows the hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from safetyamp_pipelines.desk.view import STYLE, TEMPLATES
from safetyamp_pipelines.operations.local_time import local_time


def plan_file(views: Sequence[Mapping[str, Any]], timezone: str) -> str:
    """The page of these plans, as `plan_view` makes them."""
    style = Markup(STYLE.read_text(encoding="utf-8"))  # noqa: S704 - our own file
    page = TEMPLATES.get_template("plan_file.html")
    return page.render(views=views, style=style, local=lambda moment: local_time(moment, timezone))
