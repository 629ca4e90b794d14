"""`python -m bench.licences`: writes docs/licences.md.

Licences of the direct dependencies come from the metadata of the installed packages, those of
weights and data from the tables here and in train/tiny/card.py. A test compares the page with both.
"""

import re
from importlib.metadata import metadata
from pathlib import Path

from audiollm import hub
from bench.quality import markdown
from train.tiny.card import CORPORA
from train.tiny.card import terms as terms_of_weights

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "licences.md"
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
LINE = re.compile(r"(?P<name>[\w.-]+)(?P<extra>\[.*\])?(?P<bounds>[<>=!~].*)")
LONGEST = 60  # characters of a licence's name; more is its text
FUNASR = "FunASR model licence (`model-license` on Hugging Face)"
WHISPER = "MIT (openai/whisper); tagged Apache-2.0 or MIT on Hugging Face"
WEIGHTS = {  # of every preset
    hub.BUNDLED_ENCODER: "MIT, OpenAI; ships with its text",
    "emotion2vec_plus_seed": FUNASR,
    "emotion2vec_plus_base": FUNASR,
    "emotion2vec_plus_large": FUNASR,
    "emotion2vec_base": FUNASR,
    "whisper-base": WHISPER,
    "whisper-small": WHISPER,
    "whisper-large-v3-turbo": WHISPER,
    "tiny": f"{terms_of_weights(list(CORPORA))}; ships with the program",
    "qwen2.5-0.5b": "Apache-2.0",
    "qwen2.5-1.5b": "Apache-2.0",
    "qwen2.5-3b": "Qwen Research License: not commercial",
    "silero-vad": "MIT; inside the package of that name",
}
USES = {
    name: "training and tests of the bundled model"
    + (", examples of the page; ships with the program" if name == "emodb" else "")
    for name in CORPORA
}


def requirements(name: str) -> dict[str, str]:
    """Direct dependencies of a file: name -> bounds of its version."""
    bounds = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if match := LINE.fullmatch(line.partition("#")[0].strip()):
            bounds[match["name"]] = match["bounds"]
    return bounds


def licence(package: str) -> str:
    """As the package says: its expression, else its short name, else its classifiers."""
    about = metadata(package)
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in about.get_all("Classifier") or []
        if each.startswith("License")
    ]
    short = (about.get_all("License") or [""])[0]
    short = short if len(short) <= LONGEST and "\n" not in short else ""
    expression = (about.get_all("License-Expression") or [""])[0]
    return str(expression or short or ", ".join(classifiers))


def page() -> str:
    """The page's text."""
    product, tools = (requirements(name) for name in REQUIREMENTS)
    rows = [["package", "versions", "licence", "needed for"]]
    for bounds, use in ((product, "the program"), (tools, "tests and benches")):
        for name, versions in bounds.items():
            if use == "the program" or name not in product:
                rows.append([name, f"`{versions}`", licence(name), use])
    weights = [["weights", "terms"], *([f"`{name}`", text] for name, text in WEIGHTS.items())]
    data = [["corpus", "language", "terms of its audio", "used for"]]
    for name, (language, source, terms) in CORPORA.items():
        data.append([source, language, terms, USES[name]])
    return f"""# Licences

The code is MIT (`LICENSE`). `python -m bench.licences` writes this page: licences of packages as
their metadata says, and a test fails where it is out of date.

## Direct dependencies

{markdown(rows)}
libsndfile (in `soundfile`) is LGPL-2.1, FFmpeg (in `av`) LGPL-2.1 or GPL by its build: both are
loaded as shared libraries and are not changed.

## Weights

{markdown(weights)}
Downloaded weights are under the terms of their publishers, which may change: read them at the hub.

## Data

{markdown(data)}
No other corpus is used by the program itself; readers in `train/corpora/` read a copy that you
have.
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE.relative_to(ROOT))
