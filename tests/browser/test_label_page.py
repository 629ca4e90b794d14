"""The Label page in a real browser: keys alone, several people, and nothing lost."""

import os
import re
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sklearn.metrics import cohen_kappa_score

from audiollm import audio
from audiollm.labelling.store import LabelStore
from audiollm.labelling.tasks import REASONS, Label, Task
from audiollm.labels import Language, emotion, ordered
from audiollm.settings import ASSETS
from audiollm.texts import text
from tests.browser.conftest import Served, Visit, serve
from tests.browser.fake import SURE

pytestmark = pytest.mark.browser
CARD = "#label-card .clip"
CLASSES = ordered(SURE)  # the first is key 1
CLIPS = 30
MOVED = f"old => (d => d && d.task !== old)(document.querySelector('{CARD}')?.dataset)"
KEY_WHILE_ASKING = """code => {
    labelling.begin();
    const key = code.slice(-1);
    document.body.dispatchEvent(new KeyboardEvent("keydown", { code, key, bubbles: true }));
}"""

HOLD = """() => {
    window.held = [];  // labels that do not reach the program for now
    const real = window.fetch;
    window.fetch = (at, how) => !window.holds || !String(how?.body).includes('"act":"label"')
        ? real(at, how)
        : new Promise((done) => held.push(async () => done(await real(at, how))));
}"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with CLIPS bundled voices to label, and no page yet."""
    folder = ASSETS / "emodb" / "audio"
    tasks = []
    for number, path in enumerate(sorted(folder.glob("*.flac"))[:CLIPS]):
        sound = audio.load(path)
        tasks.append(
            Task(
                id=audio.content_hash(sound),
                path=str(path),
                seconds=sound.seconds,
                source="tiny, emodb",
                reason=REASONS[number % len(REASONS)],
                score=1 - number / 100,
                original="sad",
                model="tiny",
                answer=SURE,
                other_model="tiny: encoder",
                other_answer={"sad": 1.0},
            )
        )
    if len(tasks) < CLIPS:
        pytest.skip("the bundled recordings are not there")
    LabelStore(tmp_path / "home").add_tasks(tasks)
    return tmp_path / "home"


@pytest.fixture
def own(home: Path, clip: Path) -> Iterator[Served]:
    """A page on that home, with the model of fake.py."""
    with serve(clip, home.parent, fake=True) as served:
        yield served


def sit_down(page: Page, person: str, language: Language = "en") -> None:
    """Open the tab, say who one is, and wait for a clip."""
    page.get_by_role("tab", name=text("tab_label", language), exact=True).click()
    name = page.locator("#label-person input, #label-person textarea")
    if name.input_value() != person:
        name.fill(person)
    page.wait_for_selector(f"{CARD}[data-person='{person}'] svg")
    page.locator("#label-intro").click()  # out of the text field: keys are labels now


def on_screen(page: Page) -> str:
    return page.locator(CARD).get_attribute("data-task") or ""


def press(page: Page, key: str, *, moves: bool = True) -> None:
    """A key; where it `moves`, another clip must come."""
    before = on_screen(page)
    page.keyboard.press(key)
    if moves:
        page.wait_for_function(MOVED, arg=before)


def choose(page: Page, work: str, language: Language = "en") -> None:
    page.locator("#label-work").get_by_text(text(f"work_{work}", language)).click()
    page.wait_for_selector(f"{CARD}[data-work='{work}']")
    page.locator("#label-intro").click()


def test_thirty_clips_with_keys_alone_undo_reload_and_go_on(
    own: Served, visit: Visit, home: Path
) -> None:
    page = visit(at=own.url)
    sit_down(page, "Ann")
    expect(page.locator(f"{CARD} .answer")).to_have_count(0)  # until the first choice
    expect(page.locator(f"{CARD} .why b")).not_to_be_empty()
    page.wait_for_function("document.querySelector('#label-card audio')?.currentTime > 0")
    book = LabelStore(home)
    seen: list[str] = []

    def label(key: str) -> None:
        seen.append(on_screen(page))
        press(page, key)

    for number in range(12):
        label(str(number % len(SURE) + 1))
    # a key that is typed is no label, and what is typed goes with the label
    press(page, "m", moves=False)
    page.keyboard.type("12 u, a sob")
    page.keyboard.press("Escape")
    press(page, "i", moves=False)
    press(page, "Shift+Digit2", moves=False)
    expect(page.locator(f"{CARD} button.secondary")).to_have_attribute("data-name", CLASSES[1])
    label("1")
    last = book.history()[-1]
    assert (last.name, last.secondary, last.intensity, last.note) == (
        CLASSES[0],
        CLASSES[1],
        1,
        "12 u, a sob",
    )

    press(page, "z")  # the clip before is there again, and not labelled
    assert on_screen(page) == seen[-1]
    assert not book.outcome(seen.pop()).labels
    label("u")
    press(page, "ArrowLeft")
    expect(page.locator(f"{CARD} .yours")).to_contain_text(text("label_unclear", "en"))
    expect(page.locator(f"{CARD} .answer li")).to_have_count(len(SURE))
    assert on_screen(page) == seen[-1]
    press(page, "ArrowRight")

    shown = on_screen(page)
    page.reload()
    page.wait_for_selector("#about .about b", state="attached")
    page.get_by_role("tab", name=text("tab_label", "en"), exact=True).click()
    expect(page.locator("#label-person input, #label-person textarea")).to_have_value("Ann")
    sit_down(page, "Ann")  # the browser knew the name, and the page its clip
    assert on_screen(page) == shown
    while len(seen) < CLIPS - 1:
        label("nv4"[len(seen) % 3])
    seen.append(on_screen(page))
    page.keyboard.press("5")
    expect(page.locator("#label-card")).to_contain_text(text("label_empty", "en"))
    assert len(set(seen)) == CLIPS
    outcomes = {o.task.id: o for o in book.outcomes()}
    assert all(len(outcomes[id].labels) == 1 for id in seen)
    assert [outcomes[id].final for id in seen[:12]] == [CLASSES[n % len(SURE)] for n in range(12)]
    assert all(o.task.original == "sad" for o in outcomes.values())  # never overwritten

    page.get_by_role("tab", name=text("tab_analyse", "en")).click()
    page.keyboard.press("1")  # no label on another tab
    page.wait_for_timeout(300)
    assert len(book.history()) == CLIPS + 1


def test_two_browsers_never_get_the_same_clip(
    own: Served, visit: Visit, browser: Browser, home: Path
) -> None:
    profile = browser.new_context(locale="zh-CN")
    try:
        pages = {"Ann": visit(at=own.url), "李雷": visit(at=own.url, width=390, profile=profile)}
        seen: dict[str, list[str]] = {"Ann": [], "李雷": []}
        sit_down(pages["Ann"], "Ann")
        sit_down(pages["李雷"], "李雷", "zh")
        assert pages["李雷"].evaluate("document.documentElement.scrollWidth") <= 390
        word = emotion("angry").zh
        expect(pages["李雷"].locator(f"{CARD} [data-name=angry]")).to_contain_text(word)
        for _ in range(6):
            for person, page in pages.items():
                seen[person].append(on_screen(page))
            assert on_screen(pages["Ann"]) != on_screen(pages["李雷"])
            press(pages["Ann"], "1")
            phone, before = pages["李雷"], on_screen(pages["李雷"])
            phone.locator(f"{CARD} [data-name=sad]").click()  # a tap
            expect(phone.locator(CARD)).not_to_have_attribute("data-task", before)
        assert not set(seen["Ann"]) & set(seen["李雷"])
        assert {label.person for label in LabelStore(home).history()} == {"Ann", "李雷"}
    finally:
        for page in pages.values():
            page.close()
        profile.close()


def test_second_labels_are_blind_and_kappa_is_right(own: Served, visit: Visit, home: Path) -> None:
    said = {"Ann": "112345671123", "Bo": "112344471223"}
    page = visit(at=own.url)
    order: list[str] = []
    sit_down(page, "Ann")
    page.locator("#label-blind").get_by_role("checkbox").uncheck()
    page.wait_for_selector(f"{CARD} .answer")
    page.get_by_role("button", name=text("label_progress", "en")).click()
    expect(page.locator("#label-report")).to_contain_text(text("agree_none", "en"))
    for key in said["Ann"]:
        order.append(on_screen(page))
        press(page, key)
    state = text("stat_state", "en", labelled=12, tasks=CLIPS, disputed=0)
    expect(page.locator("#label-report")).to_contain_text(state)  # while it is open
    link = page.locator("#label-report a[href*=second]").get_attribute("href")
    page.goto(f"{own.url}/{link}")  # as whoever is sent it does
    page.wait_for_selector("#about .about b", state="attached")
    sit_down(page, "Bo")
    page.wait_for_selector(f"{CARD}[data-work='second']")
    page.get_by_role("button", name=text("label_progress", "en")).click()
    page.locator("#label-intro").click()
    answers = dict(zip(order, said["Bo"], strict=True))
    for _ in order[:-1]:
        expect(page.locator(f"{CARD} .answer")).to_have_count(0)
        assert "Ann" not in page.locator(CARD).inner_text()
        press(page, answers[on_screen(page)])
    page.keyboard.press(answers[on_screen(page)])
    expect(page.locator("#label-card")).to_contain_text(text("label_empty", "en"))

    kappa = cohen_kappa_score(list(said["Ann"]), list(said["Bo"]))
    expect(page.locator("#label-report")).to_contain_text(f"Cohen's kappa {kappa:.2f}")
    agreed = text("agree_state", "en", clips=12, blind=12, labels=24)
    expect(page.locator("#label-report")).to_contain_text(agreed)

    choose(page, "decide")
    disputed = on_screen(page)
    expect(page.locator(f"{CARD} .why")).to_contain_text("Ann: ")
    page.keyboard.press("6")
    expect(page.locator(CARD)).not_to_have_attribute("data-task", disputed)
    assert LabelStore(home).outcome(disputed).final == CLASSES[5]


def test_the_program_is_killed_right_after_a_key_and_has_the_label(
    visit: Visit, home: Path, clip: Path
) -> None:
    with serve(clip, home.parent, fake=True) as served:
        page = visit(at=served.url)
        sit_down(page, "Ann")
        first = on_screen(page)
        press(page, "1")  # the next clip is there: the label must be on the disk
        os.kill(served.process, signal.SIGKILL)
        second = on_screen(page)
        with sqlite3.connect(home / "audiollm.db") as db:  # as the killed program left it
            assert db.execute("SELECT task, name FROM labels").fetchall() == [(first, "angry")]
        page.keyboard.press("6")  # nobody is there any more: the browser keeps it
        kept = "JSON.parse(localStorage.getItem('audiollm-labels') ?? '[]').map(l => l.task)"
        assert page.evaluate(kept) == [second]
        page.wait_for_selector(f"{CARD} .saving:not([hidden])")
        page.faults.clear()  # type: ignore[attr-defined]  # it could not be reached
        port = int(served.url.rsplit(":", 1)[1])
        page.goto("about:blank")  # or it loads itself again as soon as the program is back
    with serve(clip, home.parent, fake=True, port=port):
        page.goto(served.url)
        page.wait_for_selector("#about .about b", state="attached")
        page.get_by_role("tab", name=text("tab_label", "en"), exact=True).click()
        page.wait_for_function(f"!{kept}.length")
        outcome = LabelStore(home).outcome(second)
        assert [(label.person, label.name) for label in outcome.labels] == [("Ann", "sad")]
        assert len(LabelStore(home).history()) == 2
        page.faults.clear()  # type: ignore[attr-defined]
        page.close()


def test_clips_are_added_and_labels_go_out_and_in(
    own: Served, visit: Visit, home: Path, tmp_path: Path
) -> None:
    voices = sorted((ASSETS / "emodb" / "audio").glob("*.flac"))[-3:]
    folder = tmp_path / "voices"
    folder.mkdir()
    for path in voices[:2]:
        shutil.copy(path, folder)
    page = visit(at=own.url)
    sit_down(page, "Ann")
    page.get_by_role("button", name=text("label_add", "en")).click()
    page.locator("#label-source input").click()
    page.get_by_role("option", name=text("source_folder", "en")).click()
    page.fill("#label-folder input, #label-folder textarea", str(folder))
    page.click("#label-gather")
    expect(page.locator("#label-gathered")).to_contain_text("2 new clips")
    assert len(LabelStore(home).tasks()) == CLIPS + 2
    page.set_input_files("#label-sounds input[type=file]", voices[2])
    expect(page.locator("#label-sounds")).to_contain_text(voices[2].stem[:8])
    page.click("#label-gather")
    expect(page.locator("#label-gathered")).to_contain_text("1 new clips")
    (stored,) = (home / "clips").glob("*/*.flac")
    assert str(stored) in {task.path for task in LabelStore(home).tasks()}

    # a key counts while the page asks for its clip anew, as it does after clips were added
    shown = on_screen(page)
    page.evaluate(KEY_WHILE_ASKING, "Digit1")
    page.wait_for_function(MOVED, arg=shown)
    page.get_by_role("button", name=text("label_files", "en")).click()
    with page.expect_download() as download:
        page.click("#label-export")
        page.locator("#label-file a[download]").first.click()
    saved = tmp_path / "labels.csv"
    download.value.save_as(saved)
    assert saved.read_text(encoding="utf-8-sig").count(",angry,Ann,label,") == 1
    saved.write_text(
        re.sub(",angry,", ",joyfulness,", saved.read_text(encoding="utf-8-sig"), count=1)
    )
    page.fill("#label-path input, #label-path textarea", str(saved))
    page.click("#label-import")
    expect(page.locator("#label-message .error")).to_contain_text("'joyfulness' is not known")
    assert len(LabelStore(home).history()) == 1


def test_a_late_answer_unlocks_nothing_and_no_key_is_lost(
    own: Served, visit: Visit, home: Path
) -> None:
    page = visit(at=own.url)
    sit_down(page, "Ann")
    book, first = LabelStore(home), on_screen(page)
    page.evaluate(HOLD)

    def press_and_hold(key: str) -> None:
        before = page.evaluate("() => { window.holds = true; return held.length; }")
        page.keyboard.press(key)
        page.wait_for_function("before => held.length > before", arg=before)

    press_and_hold("1")
    page.evaluate("() => { window.holds = false; }")
    page.wait_for_function(MOVED, arg=first)  # after a while it was sent once more
    second = on_screen(page)
    press_and_hold("2")
    page.evaluate("async () => { await held.shift()(); }")  # answered again, with another clip
    page.keyboard.press("3")  # no second label: the first is on its way
    page.wait_for_timeout(300)
    page.evaluate("() => { window.holds = false; held.forEach((go) => go()); }")
    page.wait_for_function(MOVED, arg=second)
    third = on_screen(page)
    said = [(label.task, label.name) for label in book.history()]
    assert said == [(first, CLASSES[0]), (second, CLASSES[1])]

    # a key counts for the clip that was heard, whichever comes instead
    book.add_label(Label(third, "Bo", "sad"))
    page.evaluate(KEY_WHILE_ASKING, "Digit1")
    page.wait_for_function(MOVED, arg=third)
    page.wait_for_function(
        "JSON.parse(localStorage.getItem('audiollm-labels') ?? '[]').length === 0"
    )
    assert book.outcome(third).counts == {"sad": 1, CLASSES[0]: 1}
