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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audiollm.contracts.prepared import write_json
from audiollm.contracts.result import interval
from train.tiny.card import system_name

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"
PAGES = [
    ROOT / name
    for name in (
        *("README.md", "README_zh.md", "docs/quality.md", "docs/labelling.md"),
        "docs/performance.md",
    )
]
PLACE = re.compile(r"(<!-- (?P<name>[a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Rows = list[list[str]]


def _protocol(name: str, model: str = "tiny") -> Callable[[dict[str, Any]], Rows]:
    """UA of every system on every corpus by one protocol: `train.tiny.protocols`, `train real`."""

    def table(result: dict[str, Any]) -> Rows:
        found = result["protocols"].get(name, {"corpora": {}, "mean": {}})
        rows = [["UA", *found["corpora"], "mean"]]
        for system, mean in found["mean"].items():
            cells = [interval(c["systems"][system]["ua"]) for c in found["corpora"].values()]
            rows.append([system_name(system, model), *cells, f"{mean:.3f}"])
        return rows

    return table


SUMMARY = {  # rows and columns of the README's table
    "en": {
        **{system: f"UA, {system_name(system)}" for system in ("0", "8", "all", "probe")},
        "ece": "expected calibration error",
        "sure": "accuracy of answers with a probability of 80 % or more",
        "share": "{:.2f} ({:.1%} of answers)",
        "new speakers": "new speakers",
        "new corpora": "new corpora",
    },
    "zh": {
        "0": "UA，tiny",
        "8": "UA，tiny，以 8 段录音为基线",
        "all": "UA，tiny，以同一说话人的其余全部录音为基线",
        "probe": "UA，线性探针",
        "ece": "期望校准误差",
        "sure": "概率不低于 80 % 的回答的准确率",
        "share": "{:.2f}（占回答的 {:.1%}）",
        "new speakers": "新说话人",
        "new corpora": "新语料库",
    },
}


def _summary(language: str) -> Callable[[dict[str, Any]], Rows]:
    """Mean over corpora of both protocols, for the READMEs: `train.tiny.protocols`."""
    words = SUMMARY[language]

    def table(result: dict[str, Any]) -> Rows:
        protocols = result["protocols"]
        plain = [found["calibration"]["0"] for found in protocols.values()]
        return [
            ["", *(words[name] for name in protocols)],
            *(
                [words[key], *(f"{found['mean'][key]:.2f}" for found in protocols.values())]
                for key in ("0", "8", "all", "probe")
            ),
            [words["ece"], *(f"{c['ece']:.2f}" for c in plain)],
            [
                words["sure"],
                *(
                    "-" if c["sure"] is None else words["share"].format(c["sure"], c["share"])
                    for c in plain
                ),
            ],
        ]

    return table


def _calibrated(model: str) -> Callable[[dict[str, Any]], Rows]:
    """Calibration by each protocol: `train.tiny.protocols`, `train real`."""

    def table(result: dict[str, Any]) -> Rows:
        rows = [["", "ECE", "NLL", "answers with 0.8 or more", "right of these"]]
        for protocol, found in result["protocols"].items():
            for mode, c in found["calibration"].items():
                sure = "-" if c["sure"] is None else f"{c['sure']:.3f}"
                name = f"{protocol}, {system_name(mode, model)}"
                rows.append([name, f"{c['ece']:.3f}", f"{c['nll']:.3f}", f"{c['share']:.1%}", sure])
        return rows

    return table


# UA that EmoBox publishes for features of large encoders (arXiv 2406.07162)
EMOBOX: dict[str, dict[str, float]] = {
    "WavLM large, published": {"emodb": 0.926, "ased": 0.964, "casia": 0.521, "emovo": 0.488},
    "Whisper large v3, published": {"emodb": 0.913, "ased": 0.968, "casia": 0.596, "emovo": 0.578},
}


def emobox(result: dict[str, Any]) -> Rows:
    """Published figures above ours for new speakers: `train.tiny.protocols`."""
    corpora = result["protocols"].get("new speakers", {"corpora": {}})["corpora"]
    names = [name for name in next(iter(EMOBOX.values())) if name in corpora]
    rows = [["UA", *names]]
    rows += [[name, *(f"{m[c]:.3f}" for c in names)] for name, m in EMOBOX.items()]
    for system in ("0", "all", "probe"):
        cells = [interval(corpora[c]["systems"][system]["ua"]) for c in names]
        rows.append([system_name(system), *cells])
    return rows


def repeated(result: dict[str, Any]) -> Rows:
    """LLM and probe over repeated folds: `bench.repeated_folds`."""
    rows = [["", "WA", "UA", "ECE", "NLL"]]
    for name, m in result["figures"].items():
        figures = [interval(m[key]) for key in ("wa", "ua", "ece")]
        rows.append([name, *figures, "-" if m["nll"] is None else f"{m['nll']:.3f}"])
    for name, i in result["differences"].items():
        rows.append([name, interval(i, "+"), "", "", ""])
    return rows


def ablations(result: dict[str, Any]) -> Rows:
    """Stage 1 with one setting changed at a time: `bench.ablations`."""
    rows = [["", "UA", "WA", "NLL", "UA, baseline of 8 clips"]]
    for row in result["rows"]:
        figures = [interval(row["ua"]), interval(row["wa"]), f"{row['nll']:.3f}"]
        rows.append([row["name"], *figures, interval(row.get("compared"))])
    return rows


def robustness(result: dict[str, Any]) -> Rows:
    """Clean and degraded sounds: `python -m train robustness`."""
    rows = [["", "UA", "change of UA", "WA", "ECE"]]
    for name, m in result["conditions"].items():
        moved = interval(result["change"].get(name), "+")
        rows.append([name, interval(m["ua"]), moved, interval(m["wa"]), interval(m["ece"])])
    return rows


def texts(result: dict[str, Any]) -> Rows:
    """The text before and after the check of its claims: `python -m train evaluate --texts N`."""
    keys = {
        "parsed": "parses into its parts",
        "named": "names the class and no other",
        "agreeing": "cues agree",
    }
    rows = [["", *keys.values()]]
    for language, found in result["texts"]["languages"].items():
        for kind, name in (("raw", "as the LLM wrote it"), ("shown", "as it is shown")):
            shares = [found[kind][key] for key in keys]
            cells = [f"{interval(s)}, n {s['n']}" if s else "-" for s in shares]
            rows.append([f"{language}, {name}", *cells])
    return rows


def loop(result: dict[str, Any]) -> Rows:
    """Label errors found, and the gain of correcting them: `bench.loop`."""
    rows = [["", "label errors first", "random order", "clean labels", "flipped labels"]]
    for row in result["found"]:
        shown = f"flips found in the first {row['shown']:g} N clips"
        rows.append([shown, f"{row['ordered']:.0%}", f"{row['random']:.0%}", "", ""])
    order = ("ordered", "random", "clean", "flipped")
    names = {"probe": "linear probe", "chosen": "probe with its penalty chosen anew", "llm": "LLM"}
    for key, m in result["models"].items():
        rows.append([f"UA, {names[key]}", *(interval(m["ua"].get(name)) for name in order)])
        won = [f"{m['recovered'][n]:.0%}" if n in m["recovered"] else "-" for n in order[:2]]
        rows.append([f"of the loss recovered, {names[key]}", *won, "", ""])
    return rows


def speech(result: dict[str, Any]) -> Rows:
    """Speech missed, and other sounds taken for speech: `bench.speech`."""
    roots = result["misses"]
    rows = [["missed speech", *roots]]
    for condition in next(iter(roots.values())):
        cells = [found[condition] for found in roots.values()]
        rows.append([condition, *(f"{c['missed']} of {c['clips']}" for c in cells)])
    alarms = result["alarms"]
    total = [sum(row[key] for row in alarms.values()) for key in ("alarms", "sounds")]
    empty = [""] * (len(roots) - 1)
    rows.append([f"**taken for speech**, {len(alarms)} kinds", f"{total[0]} of {total[1]}", *empty])
    for kind, row in alarms.items():
        if row["alarms"]:
            rows.append([kind, f"{row['alarms']} of {row['sounds']}", *empty])
    for kind, spent in result["milliseconds_for_4_s"].items():
        rows.append([f"one core, 4 s of {kind}", f"{spent:g} ms", *empty])
    return rows


def visitors(result: dict[str, Any]) -> Rows:
    """Many visitors at once against one after the other: `bench.visitors`."""
    rows = [["visitors at once", "answers a second", "median", "95th percentile", "failed"]]
    for key in ("one", "together"):
        found = result[key]
        times = [f"{found[name]:.2f} s" for name in ("median", "p95")]
        failed = f"{len(found['failed'])} of {found['requests']}"
        rows.append([str(found["visitors"]), f"{found['answers_a_second']:.2f}", *times, failed])
    return [*rows, ["ratio", f"{result['ratio']:.2f}", "", "", ""]]


def questions(result: dict[str, Any]) -> Rows:
    """Free questions that pass by their rules, and those that do not: `bench.questions`."""
    rows = [["", "pass", "question", "answer"]]
    for language in dict.fromkeys(row["language"] for row in result["answers"]):
        own = [row for row in result["answers"] if row["language"] == language]
        passed = [row for row in own if not row["broken"]]
        rows.append([f"**{language}**", f"{len(passed)} of {len(own)}", "", ""])
        shown = [*passed[:: max(1, len(passed) // 5)][:5], *(r for r in own if r["broken"])]
        for row in shown:
            verdict = ", ".join(row["broken"]) or "passes"
            rows.append([language, verdict, _cell(row["question"]), _cell(row["answer"])])
    return rows


def analyses(result: dict[str, Any]) -> Rows:
    """The written analyses of clips as they are shown: `bench.questions`."""
    rows = [["clip", "answer", "text"]]
    for row in result["analyses"]:
        answer = f"{row['label']} {row['probability']:.0%}"
        rows.append([row["clip"], answer, _cell(row["text"])])
    return rows


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def bench(result: dict[str, Any]) -> Rows:
    """The product's work against the straightforward way: `bench`."""
    rows = [["work", "straightforward", "here", "ratio", "asked", "straightforward way"]]
    for row in result["rows"]:
        if "failed" in row:
            rows.append([row["work"], "failed", "", "", "", ""])
            continue
        slow, ours = row["straightforward"], row["ours"]
        if row["unit"] == "MiB":
            values = [f"{slow:,.0f} MiB", f"{ours:,.0f} MiB"]
        else:
            values = [f"{slow:.3g} s", f"{ours:.3g} s"]
        asked = f"{row['target']:g}" if row["target"] else row["limit"]
        way = "; ".join(filter(None, (row["way"], row["note"])))
        rows.append([row["work"], *values, f"{slow / ours:.1f}", asked, way])
    return rows


def growth(result: dict[str, Any]) -> Rows:
    """How the time grows: `bench.growth`."""
    rows = [["size", "seconds at each size", "slope"]]
    for name, row in result["rows"].items():
        times = ", ".join(f"{int(n):,}: {s:.3g}" for n, s in row["seconds"].items())
        rows.append([name, times, "-" if row["slope"] is None else f"{row['slope']:.2f}"])
    return rows


def precision(result: dict[str, Any]) -> Rows:
    """Arithmetic that a machine picks, against float32: `bench.precision`."""
    head = ["", "clips", "same class", "probabilities differ by", "log-probabilities by"]
    rows = [[*head, "at most"]]
    for work, row in result["rows"].items():
        shares = f"{row['probability_mean']:.4f}, at most {row['probability_max']:.3f}"
        logs = [f"{row['log_mean']:.3f}", f"{row['log_max']:.2f}"]
        rows.append([work, str(row["clips"]), f"{row['same']:.1%}", shares, *logs])
    return rows


TABLES: dict[str, Callable[[dict[str, Any]], Rows]] = {
    "protocols-speakers": _protocol("new speakers"),
    "protocols-corpora": _protocol("new corpora"),
    "protocols-calibration": _calibrated("tiny"),
    "protocols-summary": _summary("en"),
    "protocols-summary-zh": _summary("zh"),
    "protocols-emobox": emobox,
    "chiser5": repeated,
    "ablations": ablations,
    "robustness": robustness,
    "texts": texts,
    "loop": loop,
    "speech": speech,
    "visitors": visitors,
    "bench": bench,
    "growth": growth,
    "precision": precision,
    "real-speakers": _protocol("new speakers", "Qwen2.5"),
    "real-corpora": _protocol("new corpora", "Qwen2.5"),
    "real-calibration": _calibrated("Qwen2.5"),
    "questions": questions,
    "questions-analyses": analyses,
}


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

    def put(found: re.Match[str]) -> str:
        path = source(found["name"])
        if not path.is_file():
            return f"{found[1]}Not measured yet.\n{found[3]}"
        result = json.loads(path.read_text(encoding="utf-8"))
        command = result["command"] if "command" in result else result["run"]["command"]
        table = markdown(TABLES[found["name"]](result))
        if "summary" in found["name"]:  # docs/quality.md has the command
            return f"{found[1]}{table}{found[3]}"
        return f"{found[1]}{table}\n`{command}`\n{found[3]}"

    return PLACE.sub(put, page)


def main(argv: list[str]) -> int:
    if argv:
        name, file = argv
        result = json.loads(Path(file).read_text(encoding="utf-8"))
        result.pop("clips", None)  # paths of a machine, and every single answer
        if not tables(name):
            known = sorted({source(table).stem for table in TABLES})
            raise SystemExit(f"{name} is no result that a page shows: {', '.join(known)}.")
        for table in tables(name):
            markdown(TABLES[table](result))  # a result of another command ends here
        write_json(RESULTS / f"{name}.json", result)
    for path in PAGES:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{', '.join(str(p.relative_to(ROOT)) for p in PAGES)}: {len(TABLES)} tables")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
