"""A small picture of the last days for the metadata of a report: an SVG inside Markdown, without any library."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from safetyamp_pipelines.operations.reports.daily import DailyReport

DAYS = 14
STEP, BAR, HEIGHT = 14, 10, 60
"""From bar to bar, a bar's width, and the tallest bar, in units of the picture."""
LEFT, TOP, SCALE = 16, 10, 4
"""Where the first bar's place begins, the room above the bars for the legend, and pixels for a unit."""
DONE, NOT_DONE = "#2a8", "#e64"


def chart_of(reports: Sequence[DailyReport]) -> str:
    """Markdown with one bar a day: changes done below, those not done on top of them; the axis, dates and a legend.

    Dagster shows Markdown of less than 1000 characters at once and longer one on demand, and keeps it for ever; so each
    colour is one path of strokes, not a rectangle a bar.
    """
    most = max([len(report.changes) for report in reports] or [0])
    width = LEFT + len(reports) * STEP
    done, open_ = "", ""
    for place, report in enumerate(reports):
        x = LEFT + place * STEP + STEP // 2
        lower = round(report.done / (most or 1) * HEIGHT)
        upper = round(len(report.changes) / (most or 1) * HEIGHT) - lower
        done += f"M{x} 0v-{lower}" if lower else ""
        open_ += f"M{x} {-lower}v-{upper}" if upper else ""
    paths = "".join(
        f"<path d='{path}' stroke='{colour}'/>" for path, colour in ((done, DONE), (open_, NOT_DONE)) if path
    )
    ends = [f"{report.day:%d %b}" for report in (reports[0], reports[-1])] if reports else ["no days", ""]
    texts = [
        ("", 4 - HEIGHT, most, ""),
        (f" x='{LEFT}'", -HEIGHT - 3, "done", f" fill='{DONE}'"),
        (" x='40'", -HEIGHT - 3, "not done", f" fill='{NOT_DONE}'"),
        (f" x='{LEFT}'", 8, ends[0], ""),
        (f" x='{width - 24}'", 8, ends[1], ""),
    ]
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 -{HEIGHT + TOP} {width} {HEIGHT + TOP + 10}' "
        f"width='{width * SCALE}' font-size='7' fill='#777' stroke-width='{BAR}'>"
        f"<path d='M{LEFT} 0h{width}' stroke='#777' stroke-width='1'/>{paths}"
        + "".join(f"<text{x} y='{y}'{more}>{text}</text>" for x, y, text, more in texts)
        + "</svg>"
    )
    alt = f"Changes a day: at most {most}"
    return f"![{alt}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"
