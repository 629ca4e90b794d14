"""The tables of the docs, row by row, from the results of `bench` and `train` commands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from audiollm.contracts.result import interval
from train.tiny.card import system_name

Rows = list[list[str]]


def _protocol(name: str, model: str = "tiny") -> Callable[[dict[str, Any]], Rows]:
    """UA of every system on every corpus by one protocol: `train.tiny.protocols`, `train real`."""

    def table(result: dict[str, Any]) -> Rows:
        protocol = result["protocols"].get(name, {"corpora": {}, "mean": {}})
        rows = [["UA", *protocol["corpora"], "mean"]]
        for system, mean in protocol["mean"].items():
            cells = [interval(c["systems"][system]["ua"]) for c in protocol["corpora"].values()]
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
        plain = [protocol["calibration"]["0"] for protocol in protocols.values()]
        return [
            ["", *(words[name] for name in protocols)],
            *(
                [words[key], *(f"{protocol['mean'][key]:.2f}" for protocol in protocols.values())]
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
        for protocol, figures in result["protocols"].items():
            for mode, c in figures["calibration"].items():
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
    probes = result.get("probe", {})  # without where it was not measured
    rows = [["", "UA", "change of UA", "WA", "ECE"]]
    rows[0] += ["UA, linear probe", "change of it"] if probes else []
    for name, m in result["conditions"].items():
        moved = interval(result["change"].get(name), "+")
        cells = [interval(m["ua"]), moved, interval(m["wa"]), interval(m["ece"])]
        if probe := probes.get(name):
            cells += [interval(probe["ua"]), interval(probe["change"], "+")]
        rows.append([name, *cells])
    return rows


def texts(result: dict[str, Any]) -> Rows:
    """How the written analyses read: `python -m train evaluate --texts N`."""
    measured = result["texts"]["languages"]
    rows = [["", *measured]]
    for key, name in (
        ("written", "sentences of the LLM that agree with the measurement"),
        ("shown", "the same, of those that are shown"),
        ("of_llm", "texts with a sentence of the LLM"),
        ("whole", "texts in which nothing composed stands in"),
        ("named_once", "texts that name the class once"),
        ("repeated", "texts that say their opening again"),
    ):
        shares = [of[key] for of in measured.values()]
        rows.append([name, *(f"{interval(s)}, n {s['n']}" if s else "-" for s in shares)])
    for key, name in (
        ("distinct", "distinct sentences in 100 texts"),
        ("size", "mean length, words (Chinese: characters)"),
        ("largest", "longest text"),
    ):
        rows.append([name, *(f"{of[key]:.4g}" for of in measured.values())])
    return rows


def examples(result: dict[str, Any]) -> Rows:
    """Texts of clips drawn by a seed, composed and as they are shown, in turn in each language."""
    languages = result["texts"]["languages"]
    rows = [["clip", "before: composed", "after: as shown"]]
    for i, each in enumerate(zip(*(of["examples"] for of in languages.values()), strict=True)):
        row = each[i % len(each)]
        rows.append([Path(row["path"]).name, _cell(row["composed"]), _cell(row["shown"])])
    return rows


def loop(result: dict[str, Any]) -> Rows:
    """Label errors found, and the gain of correcting them: `bench.loop`."""
    rows = [["", "label errors first", "random order", "clean labels", "flipped labels"]]
    for row in result["found"]:
        label = f"flips found in the first {row['shown']:g} N clips"
        rows.append([label, f"{row['ordered']:.0%}", f"{row['random']:.0%}", "", ""])
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
        cells = [counts[condition] for counts in roots.values()]
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
        run = result[key]
        times = [f"{run[name]:.2f} s" for name in ("median", "p95")]
        failed = f"{len(run['failed'])} of {run['requests']}"
        rows.append([str(run["visitors"]), f"{run['answers_a_second']:.2f}", *times, failed])
    return [*rows, ["ratio", f"{result['ratio']:.2f}", "", "", ""]]


def load(result: dict[str, Any]) -> Rows:
    """200 visitors at once, and what was lost: `bench.load`."""
    kinds = ("lost", "mixed up", "no place", "refused")
    memory = [f"{mib:,.0f}" for mib in result["memory"]]
    return [
        ["", ""],
        ["requests", f"{result['requests']:,} of {result['visitors']} visitors"],
        ["of them sounds that cannot be used", f"{result['bad']:,}"],
        *([kind, str(result["failed"].get(kind, 0))] for kind in kinds),
        ["all answered after", f"{result['seconds']:,.0f} s"],
        ["time until an answer, median", f"{result['p50']:.1f} s"],
        ["time until an answer, 95th percentile", f"{result['p95']:.1f} s"],
        ["memory at the start and after each tenth, MiB", ", ".join(memory)],
        ["memory, from the warm-up to the end", f"{result['growth']:+.1%}"],
        ["memory, from the warm-up to the highest after it", f"{result['highest']:+.1%}"],
    ]


def kills(result: dict[str, Any]) -> Rows:
    """The page and its training killed again and again: `bench.kills`."""
    same = "the same" if result["same_weights"] else "others"
    lost = result["lost"]
    return [
        ["", "", "lost"],
        ["kills of the page", str(result["kills"]), ""],
        ["kills of the training", str(result["job_kills"]), ""],
        ["labels that were acknowledged", f"{result['labels']:,}", str(lost["labels"])],
        ["uploads, on the disk after the next start", str(result["sounds"]), str(lost["sounds"])],
        ["the job, ended with the page or not to be resumed", "", str(lost["jobs"])],
        ["weights, against an undisturbed training", same, ""],
        ["from the start of a page until it answers, median", f"{result['restart']:.1f} s", ""],
    ]


def live(result: dict[str, Any]) -> Rows:
    """Answers while the microphone records, and uploads beside them: `bench.live`."""
    speakers, uploads = result["speakers"], result["uploads"]
    requests = sum(result["states"].values())
    missed = requests - result["together"]["answers"]
    loads = {
        "live, one speaker, in the browser": result["one"],
        f"live, {speakers} speakers at once": result["together"],
        "upload, nobody else": uploads["alone"],
        f"upload beside {speakers} speakers": uploads["beside"],
    }
    rows = [["", "answers", "median", "95th percentile"]]
    for name, each in loads.items():
        rows.append([name, str(each["answers"]), f"{each['median']:.2f} s", f"{each['p95']:.2f} s"])
    return [*rows, ["requests without an answer", f"{missed} of {requests}", "", ""]]


def labelling(result: dict[str, Any]) -> Rows:
    """From a key until the next clip can be played: `bench.labelling`."""
    return [
        ["", ""],
        ["clips in the queue", f"{result['queued']:,}"],
        ["keys", str(result["presses"])],
        ["median", f"{result['median_ms']} ms"],
        ["95th percentile", f"{result['p95_ms']} ms"],
    ]


def evidence(result: dict[str, Any]) -> Rows:
    """What an answer rests on, and how long that takes: `bench.evidence`."""
    clips = result["measured"]
    return [
        ["", ""],
        ["clips", str(clips)],
        ["time after the probabilities, median", f"{result['median_s']:.2f} s"],
        ["time after the probabilities, 95th percentile", f"{result['p95_s']:.2f} s"],
        ["processor time, median", f"{result['median_cpu_s']:.2f} s"],
        ["clips with a cue as evidence", f"{result['with_cues']} of {clips}"],
        ["clips with decisive seconds", f"{result['with_seconds']} of {clips}"],
    ]


def questions(result: dict[str, Any]) -> Rows:
    """Free questions that pass by their rules, and those that do not: `bench.questions`."""
    rows = [["", "pass", "question", "answer"]]
    for language in dict.fromkeys(row["language"] for row in result["answers"]):
        own = [row for row in result["answers"] if row["language"] == language]
        passed = [row for row in own if not row["broken"]]
        rows.append([f"**{language}**", f"{len(passed)} of {len(own)}", "", ""])
        sample = [*passed[:: max(1, len(passed) // 5)][:5], *(r for r in own if r["broken"])]
        for row in sample:
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
        target = f"{row['target']:g}" if row["target"] else row["limit"]
        way = "; ".join(filter(None, (row["way"], row["note"])))
        rows.append([row["work"], *values, f"{slow / ours:.1f}", target, way])
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
    "texts-examples": examples,
    "loop": loop,
    "speech": speech,
    "visitors": visitors,
    "load": load,
    "kills": kills,
    "live": live,
    "labelling": labelling,
    "evidence": evidence,
    "bench": bench,
    "growth": growth,
    "precision": precision,
    "real-speakers": _protocol("new speakers", "Qwen2.5"),
    "real-corpora": _protocol("new corpora", "Qwen2.5"),
    "real-calibration": _calibrated("Qwen2.5"),
    "questions": questions,
    "questions-analyses": analyses,
}
