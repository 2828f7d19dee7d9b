"""A small picture of the last days for the metadata of a report: an SVG inside Markdown, without any library."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from safetyamp_pipelines.operations.reports.daily import DailyReport

DAYS = 14
STEP, BAR, HEIGHT = 14, 10, 60
"""Pixels from bar to bar, of a bar's width, and of the tallest bar."""
DONE, NOT_DONE = "#2a9d8f", "#e76f51"


def chart_of(reports: Sequence[DailyReport]) -> str:
    """Markdown with one bar a day: changes done below, those not done on top of them.

    Dagster shows Markdown of less than 1000 characters at once and longer one on demand, and keeps it for ever; so each
    colour is one path of strokes, not a rectangle a bar.
    """
    most = max([len(report.changes) for report in reports] or [0]) or 1
    done, open_ = "", ""
    for place, report in enumerate(reports):
        x = place * STEP + STEP // 2
        lower = round(report.done / most * HEIGHT)
        upper = round(len(report.changes) / most * HEIGHT) - lower
        done += f"M{x} {HEIGHT}v-{lower}" if lower else ""
        open_ += f"M{x} {HEIGHT - lower}v-{upper}" if upper else ""
    width = len(reports) * STEP
    paths = "".join(
        f"<path d='{path}' stroke='{colour}'/>" for path, colour in ((done, DONE), (open_, NOT_DONE)) if path
    )
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{HEIGHT + 1}' stroke-width='{BAR}'>"
        f"<path d='M0 {HEIGHT}.5h{width}' stroke='#999' stroke-width='1'/>{paths}</svg>"
    )
    days = f"{reports[0].day:%d %b} to {reports[-1].day:%d %b}" if reports else "no days"
    alt = f"Changes a day, {days}: at most {most if done or open_ else 0}; red: not done"
    return f"![{alt}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})\n\n{alt}"
