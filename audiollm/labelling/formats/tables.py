"""CSV and JSON lines: one row per label, under the names of `rows.FIELDS`.

A table of another program needs only `file` and `label`; further columns are ignored.
"""

import csv
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from audiollm.errors import LabelError
from audiollm.labelling.formats.rows import FIELDS, Imported, Reader, at_line, json_lines, rows
from audiollm.labelling.tasks import Outcome
from audiollm.settings import Settings

OTHER_NAMES = {"path": "file", "file_name": "file", "audio": "file", "emotion": "label"}


# A spreadsheet takes a cell that begins with one of these for a formula, which may call programs;
# the mark before it is our own
FORMULA, MARK = tuple("=+-@\t\r\n＝＋－＠"), "'"


def _ours(names: Sequence[str]) -> list[str]:
    """Columns under our names. Ours itself, or the first of several others for it, counts."""
    columns: list[str] = []
    for name in names:
        ours = OTHER_NAMES.get(name, name)
        columns.append(name if ours in (*names, *columns) else ours)
    return columns


def write_csv(outcomes: Sequence[Outcome], path: Path) -> None:
    """A table for a spreadsheet; its byte order mark tells Excel that it is UTF-8. No cell is a
    formula."""
    with path.open("w", encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
        table = csv.DictWriter(file, FIELDS)
        table.writeheader()
        for row in rows(outcomes):
            cells = row | {"blind": int(bool(row["blind"]))}
            table.writerow({name: _marked(value) for name, value in cells.items()})


def _marked(value: object) -> object:
    formula = isinstance(value, str) and value.startswith((*FORMULA, MARK))
    return f"{MARK}{value}" if formula else value


def _unmarked(cell: str) -> str:
    return cell[1:] if cell[:1] == MARK and cell[1:].startswith((*FORMULA, MARK)) else cell


def read_csv(path: Path, person: str, settings: Settings, known: Collection[str] = ()) -> Imported:
    """
    Raises:
        LabelError: a row cannot be used, or there is no column `file`.
    """
    reader = Reader(path, person, settings, known)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.reader(file, strict=True)
            names = _ours([name.strip() for name in next(table, [])])
            if "file" not in names:
                raise at_line(path, 1, LabelError("label_no_file_column"))
            line = table.line_num + 1
            for cells in table:
                if len(cells) > len(names):
                    raise at_line(path, line, LabelError("label_many_cells"))
                if cells:
                    reader.add(line, dict(zip(names, map(_unmarked, cells), strict=False)))
                line = table.line_num + 1
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelError("label_unreadable", file=path.name, reason=error) from error
    return reader.imported()


def write_jsonl(
    outcomes: Sequence[Outcome], path: Path, files: Mapping[str, str] | None = None
) -> None:
    """One JSON object per line. `files`: see `rows.rows`."""
    lines = (json.dumps(row, ensure_ascii=False) for row in rows(outcomes, files))
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8", "backslashreplace")


def read_jsonl(
    path: Path, person: str, settings: Settings, known: Collection[str] = ()
) -> Imported:
    """
    Raises:
        LabelError: a line cannot be used.
    """
    reader = Reader(path, person, settings, known)
    for number, row in json_lines(path):
        reader.add(number, dict(zip(_ours(list(row)), row.values(), strict=True)))
    return reader.imported()
