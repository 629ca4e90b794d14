"""Pictures of the page for the documentation: `python -m bench.screenshots`.

Serves `app.py`, gives it a bundled clip in Chromium, and writes docs/images/page-*.png: Chinese
and English, wide and phone, light and dark.
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bench.served import ROOT, STARTUP, served

CLIP = ROOT / "assets" / "examples" / "turns.flac"
# name -> locale, width and height in px, colour scheme
PICTURES = {
    "page-en": ("en-US", 1200, 900, "light"),
    "page-zh": ("zh-CN", 1200, 900, "light"),
    "page-en-dark": ("en-US", 1200, 900, "dark"),
    "page-en-phone": ("en-US", 390, 844, "light"),
    "page-zh-phone": ("zh-CN", 390, 844, "light"),
}
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def picture(browser: Browser, url: str, name: str, clip: Path, target: Path) -> None:
    """The page with the answer to the clip on it, whole."""
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
    page.set_input_files("#sound input[type=file]", clip)
    page.locator("#figure .point path").last.wait_for()  # the likeliest; the least may be nothing
    page.wait_for_selector(".analysis p:not(.growing)")
    page.locator("#course .scatterlayer .js-fill").first.wait_for(state="attached")
    page.wait_for_timeout(1000)
    page.screenshot(path=target, full_page=True)
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.screenshots", description=__doc__)
    parser.add_argument("--clip", type=Path, default=CLIP, help="sound file to analyse")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", help="folder")
    parser.add_argument("--model", default="tiny", help="preset name or model folder that answers")
    given = parser.parse_args()
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        sys.exit("There is no Chromium here: apt-get install chromium.")
    given.out.mkdir(parents=True, exist_ok=True)
    with served("--model", given.model) as url, sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=executable, args=SWITCHES)
        for name in PICTURES:
            picture(browser, url, name, given.clip, given.out / f"{name}.png")
            print(given.out / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
