"""CSV and JSON lines: one row a label, under the names of `rows.FIELDS`.

Of a foreign table `file` and `label` are enough; more columns are no harm.
"""

import csv
import json
from collections.abc import Collection, Sequence
from pathlib import Path

from audiollm.errors import LabelError
from audiollm.labelling.formats.rows import FIELDS, Found, Reader, rows
from audiollm.labelling.tasks import Outcome
from audiollm.settings import Settings

OTHER_NAMES = {"path": "file", "file_name": "file", "audio": "file", "emotion": "label"}


def write_csv(outcomes: Sequence[Outcome], path: Path) -> None:
    """A table for a spreadsheet: the mark at its beginning tells Excel that it is UTF-8."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.DictWriter(file, FIELDS)
        table.writeheader()
        for row in rows(outcomes):
            table.writerow(row | {"blind": int(bool(row["blind"]))})


def read_csv(path: Path, person: str, settings: Settings, known: Collection[str] = ()) -> Found:
    """
    Raises:
        LabelError: a row cannot be used, or there is no column `file`.
    """
    reader = Reader(path, person, settings, known)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.reader(file, strict=True)
            names = [OTHER_NAMES.get(n.strip(), n.strip()) for n in next(table, [])]
            if "file" not in names:
                raise LabelError(f"{path.name}, line 1: there is no column named file.")
            line = table.line_num + 1
            for cells in table:
                if len(cells) > len(names):
                    raise LabelError(f"{path.name}, line {line}: it has more cells than columns.")
                if cells:
                    reader.add(line, dict(zip(names, cells, strict=False)))
                line = table.line_num + 1
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelError(f"{path.name} cannot be read as CSV in UTF-8 ({error}).") from error
    return reader.found()


def write_jsonl(
    outcomes: Sequence[Outcome], path: Path, file: "dict[str, str] | None" = None
) -> None:
    """One JSON object a line. `file`: see `rows.rows`."""
    lines = (json.dumps(row, ensure_ascii=False) for row in rows(outcomes, file))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_jsonl(path: Path, person: str, settings: Settings, known: Collection[str] = ()) -> Found:
    """
    Raises:
        LabelError: a line cannot be used.
    """
    reader = Reader(path, person, settings, known)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path.name} cannot be read as UTF-8 ({error}).") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise LabelError(f"{path.name}, line {number}: this is no JSON ({error}).") from error
        if not isinstance(row, dict):
            raise LabelError(f"{path.name}, line {number}: a JSON object must stand here.")
        reader.add(number, {OTHER_NAMES.get(str(k), str(k)): value for k, value in row.items()})
    return reader.found()
