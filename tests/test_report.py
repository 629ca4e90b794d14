"""The evaluation page: complete, escaped, one file; in a real browser it draws and filters."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from audiollm import metrics
from audiollm.contracts.messages import Message
from audiollm.contracts.result import ClipResult, EvaluationResult
from audiollm.labels import LANGUAGES
from audiollm.metrics import figures
from audiollm.texts import printable, text
from bench.served import chromium_path
from train.evaluate import texts
from train.evaluate.report import write_html

CLASSES = ("angry", "happy", "neutral", "sad")
CJK = re.compile(r"[\u4e00-\u9fff]")
NASTY = '<script>alert("x")</script>'


def _result(clips: int = 60, nasty: str = NASTY) -> EvaluationResult:
    """An evaluation with right, wrong and unanswered clips, and foreign text everywhere."""
    rng = np.random.default_rng(0)
    truth = rng.choice(CLASSES, clips).tolist()
    z = rng.normal(0, 1, (clips, 4))
    z[np.arange(clips), [CLASSES.index(t) for t in truth]] += 1.5
    table = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    answer: list[str | None] = [CLASSES[i] for i in table.argmax(1)]
    answer[3], table[3] = None, np.nan
    speakers = [f"speaker {i % 6}" for i in range(clips)]
    speakers[-1] = f"speaker 5{nasty}"
    rows: list[ClipResult] = []
    for i in range(clips):
        row: ClipResult = {
            "id": f"{i:064x}",
            "path": f"audio/{i}\udcff{nasty}.flac",
            "label": truth[i],
            "predicted": answer[i],
            "probabilities": dict(zip(CLASSES, table[i].tolist(), strict=True))
            if answer[i]
            else None,
            "speaker": speakers[i],
            "seconds": 1.0 + i / 10,
        }
        if answer[i]:
            row["text"] = f"It sounds {answer[i]}. {nasty}"
        else:
            row["error"] = "No speech heard."
        rows.append(row)
    measured = metrics.report(truth, answer, table, CLASSES, speakers).to_dict()
    return {
        "model": {"name": f"tiny{nasty}", "folder": "assets/tiny", "hash": "ab" * 32},
        "data": {
            "folder": "data/x",
            "corpus": "x",
            "split": "test",
            "speakers": sorted(set(speakers)),
        },
        "run": {
            "command": f"python -m train evaluate {nasty}",
            "date": "2026-11-30T12:00:00+00:00",
            "versions": {"torch": "2.13.0"},
            "device": "cpu",
            "precision": "float32",
            "seconds": 12.3,
        },
        "metrics": measured,
        "baselines": {"3": _baseline(truth, table, 0.5), "all": _baseline(truth, table, 2.0)},
        "probes": {"utterance": measured, f"both{nasty}": measured},
        "clips": rows,
        "texts": {"clips": 3, "languages": {"en": _texts(5), "zh": _texts(0)}},
        "notes": [Message.of("note_seen_encoder", speakers=[f"speaker 1{nasty}"]).to_dict()],
    }


def _texts(written: int) -> dict[str, object]:
    """Of three texts, none of them the LLM's."""
    no = [False] * 3
    found = texts.Checked("en", (), written, sizes=[4, 5, 9], sentences=["One.", "One.", "Two."])
    return replace(found, of_llm=no, whole=no, once=no, repeated=no).to_dict()


def _baseline(truth: list[str], table: np.ndarray, gain: float) -> dict[str, object]:
    """Figures of a model that is surer of the truth by this factor."""
    better = np.nan_to_num(table, nan=0.25)
    better[np.arange(len(truth)), [CLASSES.index(t) for t in truth]] *= 1 + gain
    better /= better.sum(1, keepdims=True)
    answer = [CLASSES[i] for i in better.argmax(1)]
    return metrics.report(truth, answer, better, CLASSES).to_dict()


class _Elements(HTMLParser):
    """Counts elements and collects the text of the table of mistakes."""

    def __init__(self) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.paths: list[str] = []
        self._path = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        if ("class", "path") in attrs:
            self._path = True

    def handle_data(self, data: str) -> None:
        if self._path:
            self.paths.append(data)
            self._path = False


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "made" / "report.html"
    write_html(_result(), path)
    return path


def test_every_misclassified_clip_is_listed_and_no_other(page: Path) -> None:
    parser = _Elements()
    parser.feed(page.read_text(encoding="utf-8"))
    wrong = [printable(c["path"]) for c in _result()["clips"] if c["predicted"] != c["label"]]
    assert len(wrong) > 5
    assert sorted(parser.paths) == sorted(wrong)


def test_all_that_is_said_stands_in_both_languages(page: Path) -> None:
    text = page.read_text(encoding="utf-8").split("<script>")[0]
    body = text.split("<body>")[1]
    both = re.findall(r'<span lang="en">(.*?)</span><span lang="zh">(.*?)</span>', body, re.DOTALL)
    assert len(both) == body.count('lang="en"') == body.count('lang="zh"') > 30
    for english, chinese in both:
        assert CJK.search(chinese) and not CJK.search(english)


def test_foreign_text_is_escaped(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    parser = _Elements()
    parser.feed(text)
    assert "<script>alert" not in text
    assert parser.count["script"] == 3  # plotly, data, ours
    assert "&lt;script&gt;alert" in text


def test_page_is_whole_and_asks_no_other_host(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "$" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r'(src|href)="', text.split("<script>")[0])
    for expected in (
        "angry 生气",
        "chance",
        "Probe: utterance",
        "No speech heard.",
        "counted as wrong: 1",
    ):
        assert expected in text


def test_the_written_analyses_are_counted_in_both_languages(page: Path) -> None:
    shown = page.read_text(encoding="utf-8")
    for language in LANGUAGES:
        values = {"distinct": "67", "size": "6.0"}
        assert text("report_reading", language, language="en", **values) in shown


def test_a_speaker_baseline_has_a_row_for_each_number_of_clips(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    table = text.partition('id="baselines"')[2].partition("</table>")[0]
    result = _result()
    rows = table.partition("<tbody>")[2].split("</tr>")[:-1]
    assert len(rows) == 3
    for row, of in zip(rows, [result["metrics"], *result["baselines"].values()], strict=True):
        for key in ("ua", "wa"):
            assert f"{of[key]['value']:.3f}<small>{of[key]['low']:.3f}" in row
    assert "全部" in rows[2] and "all" in rows[2]
    result["baselines"] = {}
    write_html(result, tmp_path / "plain.html")
    assert 'id="baselines"' not in (tmp_path / "plain.html").read_text(encoding="utf-8")


def test_confusion_figure() -> None:
    got = figures.confusion(_result()["metrics"], "zh").data[0]
    assert got.x[-1] == "无回答" and got.x[0] == "生气"
    assert np.allclose(np.sum(got.z, axis=1), 1)
    assert got.customdata[0][1] == ["angry", "happy"]


def test_recall_figure_leaves_out_classes_without_clips() -> None:
    got = metrics.report(["sad", "angry"], ["sad", "sad"], None, CLASSES).to_dict()
    bars, marks = figures.recall({"": got, "both": got}, "zh").data
    assert (bars.name, marks.name) == ("本模型", "探针：两者")
    assert list(bars.y) == ["生气", "难过"] and list(bars.x) == list(marks.x) == [0, 1]


def test_without_probabilities_probes_or_speakers(tmp_path: Path) -> None:
    result = _result(20, "")
    answer = [c["predicted"] for c in result["clips"]]
    truth = [c["label"] for c in result["clips"]]
    result["metrics"] = metrics.report(truth, answer, None, CLASSES).to_dict()
    result["probes"], result["notes"], result["data"]["speakers"] = {}, [], []
    for clip in result["clips"]:
        clip["probabilities"] = None
    write_html(result, tmp_path / "plain.html")
    text = (tmp_path / "plain.html").read_text(encoding="utf-8")
    assert 'id="reliability"' not in text and 'class="notes"' not in text
    assert "not known" in text


@pytest.mark.browser
def test_in_a_browser(page: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = chromium_path()
    if chromium is None:
        pytest.skip("no browser")
    problems: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 375, "height": 800}, color_scheme="dark")
        tab.on("console", lambda message: problems.append(message.text))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("request", lambda r: None if r.url.startswith("file:") else problems.append(r.url))
        tab.on("dialog", lambda dialog: problems.append(dialog.message))
        tab.goto(page.as_uri())
        for name in ("confusion", "recall", "reliability"):
            tab.wait_for_selector(f"#{name} .main-svg")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        tab.fill("#search", "no answer")
        assert tab.locator("#shown").inner_text() == "1 found"
        assert tab.locator("#wrong tbody tr:visible").count() == 1
        tab.fill("#search", "")
        tab.get_by_role("button", name="s", exact=True).click()
        seconds = tab.locator("#wrong tbody td:nth-child(6)").all_inner_texts()
        assert [float(s) for s in seconds] == sorted(float(s) for s in seconds)

        tab.click("#language")
        said = [*tab.locator("h2").all_inner_texts(), *tab.locator("dt").all_inner_texts()]
        said += [tab.inner_text(".verdict"), tab.inner_text("header p"), tab.inner_text("#recall")]
        assert len(said) > 15 and all(CJK.search(words) for words in said)
        assert tab.get_attribute("#search", "placeholder").startswith("搜索")
        assert not tab.locator("[lang=en]:visible").count()
        tab.click("#language")
        assert not tab.locator("[lang=zh]:visible").count()
        browser.close()
    assert problems == []
