"""Pictures of the page for the documentation: `python -m bench.screenshots`.

Serves `app.py` with an empty home, gives it a bundled clip in Chromium, and writes
docs/images/page-*.png: Chinese and English, wide and phone, light and dark. For label-*.png it adds
a few bundled voices to the queue, train-*.png is the Train page as it opens.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from audiollm.labels import Language
from audiollm.texts import text
from bench.served import ROOT, STARTUP, chromium, served

CLIP = ROOT / "assets" / "examples" / "turns.flac"
VOICES = ROOT / "assets" / "emodb" / "audio"
QUEUE = 8  # of the voices are there to label
# name -> locale, width and height in px, colour scheme
PICTURES = {
    "page-en": ("en-US", 1200, 900, "light"),
    "page-zh": ("zh-CN", 1200, 900, "light"),
    "page-en-dark": ("en-US", 1200, 900, "dark"),
    "page-en-phone": ("en-US", 390, 844, "light"),
    "page-zh-phone": ("zh-CN", 390, 844, "light"),
    "label-en": ("en-US", 1200, 900, "light"),
    "label-zh": ("zh-CN", 1200, 900, "dark"),
    "label-zh-phone": ("zh-CN", 390, 844, "light"),
    "train-en": ("en-US", 1200, 900, "light"),
    "train-zh": ("zh-CN", 1200, 900, "dark"),
    "train-en-phone": ("en-US", 390, 844, "light"),
}


def picture(browser: Browser, url: str, name: str, clip: Path, voices: Path, target: Path) -> None:
    """The page, whole: with the answer to the clip on it, with a voice to label, or to train."""
    locale, width, height, scheme = PICTURES[name]
    context = browser.new_context(
        locale=locale,
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=1.5,
    )
    page = context.new_page()
    page.set_default_timeout(STARTUP * 1000)
    page.goto(url)
    page.wait_for_selector("#about .about b")
    language: Language = "zh" if locale.startswith("zh") else "en"
    if name.startswith("label"):
        labelling(page, voices, language)
    elif name.startswith("train"):
        page.get_by_role("tab", name=text("tab_train", language), exact=True).click()
        page.locator("#train-classes .point path").first.wait_for()
    else:
        analyse(page, clip)
    page.wait_for_timeout(1000)
    page.screenshot(path=target, full_page=True)
    context.close()


def analyse(page: Page, clip: Path) -> None:
    page.set_input_files("#sound input[type=file]", clip)
    page.locator("#figure .point path").last.wait_for()  # the likeliest; the least may be nothing
    page.wait_for_selector(".analysis p:not(.growing)")
    page.locator("#course .scatterlayer .js-fill").first.wait_for(state="attached")


def labelling(page: Page, voices: Path, language: Language) -> None:
    """An annotator has entered a name, and classified clips are in the queue."""
    page.get_by_role("tab", name=text("tab_label", language), exact=True).click()
    page.fill("#label-person input, #label-person textarea", {"zh": "李雷", "en": "Ann"}[language])
    fold = page.locator("#label-add > button").first
    fold.click()
    page.locator("#label-source input").click()
    page.get_by_role("option", name=text("source_folder", language)).click()
    page.fill("#label-folder input, #label-folder textarea", str(voices))
    page.click("#label-gather")
    page.wait_for_selector("#label-gathered .notice:not(:has(progress))")
    page.wait_for_selector("#label-card .clip[data-task] svg")
    fold.click()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.screenshots", description=__doc__)
    parser.add_argument("--clip", type=Path, default=CLIP, help="sound file to analyse")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", help="folder")
    words = "which pictures, by the beginning of their names (default: all)"
    parser.add_argument("--only", default="", metavar="NAME", help=words)
    parser.add_argument("--model", default="tiny", help="preset name or model folder that answers")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        served("--model", args.model, home=Path(place) / "home") as url,
        sync_playwright() as tool,
    ):
        voices = Path(place) / "voices"
        voices.mkdir()
        for path in sorted(VOICES.glob("*.flac"))[:: len(list(VOICES.glob("*.flac"))) // QUEUE]:
            shutil.copy(path, voices)
        browser = chromium(tool)
        for name in (name for name in PICTURES if name.startswith(args.only)):
            picture(browser, url, name, args.clip, voices, args.out / f"{name}.png")
            print(args.out / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
