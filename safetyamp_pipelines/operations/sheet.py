"""Tables as files for spreadsheets: CSV, and Excel workbooks. A cell never becomes a formula or a link."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import xlsxwriter

_FORMULA = re.compile(r"[\s\ufeff\u200b]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
WIDEST = 60
LONGEST_NAME = 31

Table = tuple[Sequence[str], Iterable[Sequence[Any]]]


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The table as CSV; text that a spreadsheet would take for a formula is marked as text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def workbook(sheets: Mapping[str, Table], *, about: str = "") -> bytes:
    """An Excel file with one sheet a table; `about` stands above each."""
    target = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(target, options) as book:
        bold = book.add_format({"bold": True})
        for name, (header, rows) in sheets.items():
            sheet = book.add_worksheet(name[:LONGEST_NAME])
            sheet.write_string(0, 0, about)
            widths = [len(title) for title in header]
            for column, title in enumerate(header):
                sheet.write_string(2, column, title, bold)
            number = 2
            for number, row in enumerate(rows, 3):
                for column, cell in enumerate(row):
                    text = "" if cell is None else _text(cell)
                    sheet.write_string(number, column, text)
                    widths[column] = max(widths[column], len(text))
            for column, width in enumerate(widths):
                sheet.set_column(column, column, min(width, WIDEST) + 1)
            sheet.freeze_panes(3, 0)
            sheet.autofilter(2, 0, max(number, 3), len(header) - 1)
    return target.getvalue()


def safe_cell(cell: Any) -> Any:
    """The cell as text that no spreadsheet takes for a formula and carries out, whatever it skips before one."""
    text = _text(cell)
    return f"'{text}" if isinstance(cell, str) and _FORMULA.match(text) else text


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    return ", ".join(map(_text, cell)) if isinstance(cell, list | tuple) else str(cell)
