"""Who is employed: the one rule that titles, employees and vehicles share (DESIGN §5)."""

from __future__ import annotations

from datetime import date

import pandas as pd

from safetyamp_pipelines.sync.model.clean import clean

SOURCE = "viewpoint/employees"
COLUMNS = ("HireDate", "TermDate")


def is_active(frame: pd.DataFrame, today: date) -> pd.Series:
    """Boolean column: a hire date, and no termination date or one still to come. `ActiveYN` is not asked: it and
    `TermDate` disagree in practice (contract Viewpoint §2)."""
    hired = clean(frame[f"{SOURCE}.HireDate"], "date")
    return hired.values.notna() & ~has_left(frame, today)


def has_left(frame: pd.DataFrame, today: date) -> pd.Series:
    """Boolean column: a termination date that has come."""
    ends = clean(frame[f"{SOURCE}.TermDate"], "date")
    has_ended = [end is not None and end <= today.isoformat() for end in ends.values]
    return pd.Series(has_ended, index=frame.index, dtype=bool)
