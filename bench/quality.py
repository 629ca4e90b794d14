"""`python -m bench.quality`: writes the measured figures into the tables of PAGES.

    python -m bench.quality                             rewrites the tables
    python -m bench.quality texts runs/x/result.json    copies a result first, without its clips

Every table stands between two comments, `<!-- NAME -->` or `<!-- NAME-PART -->` and
`<!-- end -->`, and comes from the file docs/results/NAME.json that a command of this project wrote;
a test compares both. Nothing is computed here.
"""

import json
import re
import sys
from pathlib import Path

from audiollm.contracts.prepared import write_json
from bench.tables import TABLES, Rows

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"
PAGES = [
    ROOT / name
    for name in (
        *("README.md", "README_zh.md", "docs/quality.md", "docs/labelling.md"),
        *("docs/performance.md", "docs/reliability.md", "docs/analysis.md"),
    )
]
PLACE = re.compile(r"(<!-- (?P<name>[a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def source(table: str) -> Path:
    """The file that a table comes from."""
    return RESULTS / f"{table.partition('-')[0]}.json"


def tables(result: str) -> list[str]:
    """The tables that come from a file, by its name without ending."""
    return [name for name in TABLES if source(name).stem == result]


def markdown(rows: Rows) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def filled(page: str) -> str:
    """The page with every table filled from its results, or "Not measured yet."."""

    def fill(match: re.Match[str]) -> str:
        path = source(match["name"])
        if not path.is_file():
            return f"{match[1]}Not measured yet.\n{match[3]}"
        result = json.loads(path.read_text(encoding="utf-8"))
        command = result["command"] if "command" in result else result["run"]["command"]
        table = markdown(TABLES[match["name"]](result))
        if "summary" in match["name"]:  # docs/quality.md has the command
            return f"{match[1]}{table}{match[3]}"
        return f"{match[1]}{table}\n`{command}`\n{match[3]}"

    return PLACE.sub(fill, page)


def main(argv: list[str]) -> int:
    if argv:
        name, file = argv
        result = json.loads(Path(file).read_text(encoding="utf-8"))
        result.pop("clips", None)  # paths of a machine, and every single answer
        if not tables(name):
            names = sorted({source(table).stem for table in TABLES})
            raise SystemExit(f"{name} is no result that a page shows: {', '.join(names)}.")
        for table in tables(name):
            markdown(TABLES[table](result))  # a result of another command ends here
        write_json(RESULTS / f"{name}.json", result)
    for path in PAGES:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{', '.join(str(p.relative_to(ROOT)) for p in PAGES)}: {len(TABLES)} tables")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
