"""`python -m audiollm.deploy` against a look-alike of the hub, through the hub's own client."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import soundfile
import yaml
from starlette.requests import Request
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from audiollm.contracts.manifest import MANIFEST_NAME
from audiollm.deploy import repositories, space, tree
from audiollm.deploy.__main__ import main
from audiollm.deploy.calls import run
from audiollm.deploy.space import SpaceOptions
from audiollm.errors import ConfigError
from audiollm.jobs import temporary
from audiollm.labelling.store import LabelStore
from audiollm.labelling.tasks import Label, Outcome, Task
from audiollm.settings import ASSETS, Settings
from audiollm.web.auth import identity
from tests import hub_server, tiny
from tests.conftest import voiced
from tests.hub_server import Hub

ROOT = Path(__file__).parent.parent
PASSWORD = "ann:a sentence nobody guesses"
README = """\
---
title: A
sdk: gradio
sdk_version: 6.31.0
python_version: "3.11"
app_file: app.py
license: mit
---
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A small program that a Space could run."""
    place = tmp_path / "program"
    (place / "audiollm").mkdir(parents=True)
    (place / "README.md").write_text(README)
    (place / "app.py").write_text("import json\nimport gradio\nimport audiollm\n")
    optional = "try:\n    import absent\nexcept Exception:\n    pass\n"
    (place / "audiollm" / "__init__.py").write_text(optional)
    (place / "requirements.txt").write_text("gradio>=6.20,<6.32\n")
    return place


def codes(place: Path) -> list[str]:
    return [problem.code for problem in tree.problems(place)]


# --- checks of the files


def test_the_program_can_be_deployed() -> None:
    assert [str(problem) for problem in tree.problems(ROOT)] == []


def test_a_small_program_has_no_problems(place: Path) -> None:
    assert codes(place) == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("colorFrom: turquoise", "deploy_field_value"),
        ("sdk: streamlit", "deploy_field_value"),
        ("pinned: 3", "deploy_field_value"),
        (f"short_description: {'x' * 61}", "deploy_field_value"),
        ("startup_duration_timeout: 30", "deploy_field_value"),
        ("colourFrom: red", "deploy_field_unknown"),
        ("sdk_version: 6.10.0", "deploy_gradio"),
        ("app_file: main.py", "deploy_field_value"),
    ],
)
def test_front_matter_is_checked(place: Path, line: str, code: str) -> None:
    path = place / "README.md"
    key = line.partition(":")[0]
    kept = [each for each in README.splitlines() if not each.startswith(f"{key}:")]
    path.write_text("\n".join([*kept[:-1], line, "---", ""]))
    assert codes(place) == [code]


def test_no_front_matter_lacks_every_needed_field(place: Path) -> None:
    (place / "README.md").write_text("# A")
    assert codes(place) == ["deploy_field_missing"] * len(tree.NEEDED)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.py", "import pandas_of_somebody", "deploy_import"),
        ("a.py", "def f[T](x: T) -> T: ...", "deploy_syntax"),  # of Python 3.12
        ("a.py", "def f(:", "deploy_syntax"),
        ("w.safetensors", "version https://git-lfs.github.com/spec/v1\noid x", "deploy_pointer"),
        ("a.txt", "token = hf_" + "a1" * 17, "deploy_secret_inside"),
        ("a.txt", "-----BEGIN OPENSSH PRIVATE KEY-----", "deploy_secret_inside"),
        (".env", "A=b", "deploy_secret_inside"),
    ],
)
def test_files_are_checked(place: Path, name: str, content: str, code: str) -> None:
    (place / "audiollm" / name).write_text(content)
    assert codes(place) == [code]


def test_a_tree_that_is_too_large_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "LARGEST", 10)
    assert codes(place) == ["deploy_large"]


# --- Spaces


def test_a_space_is_created_and_updated(
    remote: Hub, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIOLLM_OWNER", PASSWORD)
    options = SpaceOptions(
        hardware="zero-a10g",
        sleep=3600,
        bucket="ann/app-data",
        variables=("AUDIOLLM_KEEP=1",),
        secrets=("AUDIOLLM_OWNER",),
    )
    run(space.calls("ann/app", place, options))
    made = remote.repositories["spaces/ann/app"]
    assert (made.made["sdk"], made.made["visibility"]) == ("gradio", "private")
    assert made.settings["variables"] == {
        "FORWARDED_ALLOW_IPS": space.PROXIES,
        "AUDIOLLM_HOME": "/data",
        "AUDIOLLM_KEEP": "1",
    }
    assert made.settings["secrets"] == {"AUDIOLLM_OWNER": PASSWORD}
    assert made.settings["hardware"] == {"flavor": "zero-a10g", "sleepTimeSeconds": 3600}
    (volume,) = made.settings["volumes"]["volumes"]
    assert (volume["source"], volume["mountPath"]) == ("ann/app-data", "/data")
    assert remote.asked("POST", "/api/buckets/ann/app-data")
    found = made.at("main")
    assert found and found[1]["app.py"] == (place / "app.py").read_bytes()

    (place / "audiollm" / "__init__.py").unlink()
    (place / "audiollm" / "new.py").write_text("NEW = 1\n" * hub_server.LARGE)  # a large file
    (place / "secret.txt").write_text("not uploaded")
    run(space.calls("ann/app", place, SpaceOptions(public=True)))
    found = made.at("main")
    kept = {"app.py", "audiollm/new.py", "requirements.txt", "README.md", ".gitattributes"}
    assert found and set(found[1]) == kept
    assert made.settings["variables"]["AUDIOLLM_KEEP"] == "1"  # what is not named stays


@pytest.mark.parametrize(
    ("peer", "forwarded", "counts"),
    [
        ("10.16.3.80", "203.0.113.9", "203.0.113.9"),
        ("10.16.3.80", "198.51.100.7, 203.0.113.9", "203.0.113.9"),  # the first is the visitor's
        ("10.16.3.80", "203.0.113.9, 10.20.0.1", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),  # came past the proxy
    ],
)
def test_visitors_of_a_space_are_told_apart(peer: str, forwarded: str, counts: str) -> None:
    """All come through proxies of Hugging Face's network."""
    seen: list[str] = []

    async def app(scope: Any, *_: Any) -> None:
        seen.append(identity.address_of(Request(scope)))

    headers = [(b"x-forwarded-for", forwarded.encode())]
    scope: Any = {"type": "http", "scheme": "http", "client": (peer, 1), "headers": headers}
    nothing: Any = None
    asyncio.run(ProxyHeadersMiddleware(app, space.PROXIES)(scope, nothing, nothing))
    assert seen == [counts]


@pytest.mark.parametrize("options", [{}, {"hardware": "t4-small"}])
def test_the_sleep_of_a_space_that_exists_changes(
    remote: Hub, place: Path, options: dict[str, Any]
) -> None:
    run(space.calls("ann/app", place, SpaceOptions(hardware="t4-small", sleep=3600)))
    run(space.calls("ann/app", place, SpaceOptions(sleep=60, **options)))
    settings = remote.repositories["spaces/ann/app"].settings
    last = settings["hardware"]["sleepTimeSeconds"] if options else settings["sleeptime"]["seconds"]
    assert last == 60


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"hardware": "abacus"}, "deploy_hardware"),
        ({"hardware": "cpu-basic", "sleep": 60}, "deploy_sleep"),
        ({"variables": ("A",)}, "deploy_variable"),
        ({"variables": ("AUDIOLLM_OWNER=ann:password",)}, "deploy_variable_secret"),
        ({"secrets": ("NOT_SET_HERE",)}, "deploy_no_secret"),
        ({"variables": ("AUDIOLLM_KEEP=yes",)}, "setting_value"),
        ({"secrets": ("AUDIOLLM_OWNER",)}, "setting_owner_short"),
    ],
)
def test_options_are_checked_before_anything_is_done(
    place: Path, options: dict[str, Any], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIOLLM_OWNER", "ann:short")
    with pytest.raises(ConfigError) as caught:
        space.calls("ann/app", place, SpaceOptions(**options))
    assert caught.value.code == code


def test_a_dry_run_prints_every_call_and_needs_no_network(
    remote: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUDIOLLM_OWNER", PASSWORD)
    monkeypatch.delenv("HF_TOKEN")
    words = ["space", "app", "--dry-run", "--secret", "AUDIOLLM_OWNER", "--hardware", "t4-small"]
    assert main(words) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.partition("(")[0] for line in shown] == [
        "create_repo",
        "request_space_hardware",
        "create_bucket",
        "set_space_volumes",
        "add_space_variable",
        "add_space_variable",
        "add_space_secret",
        "upload_folder",
    ]
    assert "USER/app" in shown[0]
    assert not any(PASSWORD in line for line in shown)
    assert remote.requests == []


def test_the_name_of_whoever_is_logged_in_is_put_before_it(
    remote: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded: list[Any] = []

    def upload(_: Any, **given: Any) -> Any:
        uploaded.append(given)
        return SimpleNamespace(repo_url="somewhere")

    monkeypatch.setattr(tree, "problems", lambda _: [])
    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", upload)
    assert main(["space", "app", "--bucket", "none"]) == 0
    assert uploaded[0]["repo_id"] == "ann/app"
    assert list(remote.repositories) == ["spaces/ann/app"]


def test_a_refusal_is_one_sentence(
    remote: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ConfigError) as caught:
        run(space.calls("ann/app", place, SpaceOptions()))
    assert caught.value.code == "deploy_refused" and caught.value.values["call"] == "create_repo"
    assert "hf_wrong" not in str(caught.value)
    assert main(["space", "not a name", "--dry-run"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(ConfigError) as caught:
        run(space.calls("ann/app", place, SpaceOptions()))
    assert caught.value.code == "deploy_login"


# --- models


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of a few thousand parameters on an encoder of the hub."""
    folder = tiny.model_folder(tmp_path / "made", Settings(home=tmp_path, device="cpu"))
    path = folder / MANIFEST_NAME
    manifest = json.loads(path.read_text())
    manifest["encoder"]["id"] = "ann/encoder"
    interval = {"value": 0.5, "low": 0.4, "high": 0.6, "unit": "clips"}
    manifest["metrics"] = {"ua": interval, "wa": interval, "data": "emodb", "split": "test"}
    manifest["training"] = {"llm": "qwen2.5-0.5b", "corpus": "emodb", "data_languages": ["de"]}
    path.write_text(json.dumps(manifest))
    return folder


def test_a_pushed_model_is_pulled_and_answers(remote: Hub, model: Path, tmp_path: Path) -> None:
    """Two versions are pushed; each is found by its commit."""
    from audiollm import load

    encoder = model.parent / "encoder"
    remote.add("ann/encoder", {p.name: p.read_bytes() for p in encoder.iterdir()})
    first = run(repositories.model_calls(model, "ann/mine", licence="cc0-1.0")).oid
    manifest = json.loads((model / MANIFEST_NAME).read_text())
    (model / MANIFEST_NAME).write_text(json.dumps({**manifest, "name": "second"}))
    run(repositories.model_calls(model, "ann/mine", licence="cc0-1.0"))
    shutil.rmtree(model.parent)
    options = {"home": tmp_path / "home", "device": "cpu"}
    newest = load("ann/mine", **options)
    pinned = load(f"ann/mine@{first}", **options)
    assert (newest.card.name, pinned.card.name) == ("second", "test")
    samples = voiced(1.0)
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    answer = pinned(str(tmp_path / "a.wav"))
    assert sum(answer.probabilities.values()) == pytest.approx(1.0)
    for given in ((samples, 16000), {"array": samples, "sampling_rate": 16000}):
        found = pinned(given).probabilities
        assert found == pytest.approx(answer.probabilities, abs=1e-3)
    assert pinned(tmp_path / "a.wav", "zh").language == "zh"


def test_a_card_is_what_the_hub_reads(remote: Hub, model: Path) -> None:
    from huggingface_hub import ModelCard

    run(repositories.model_calls(model, "ann/mine", licence="cc0-1.0"))
    found = remote.repositories["models/ann/mine"].at("main")
    assert found
    data: Any = ModelCard(found[1]["README.md"].decode()).data
    assert data.license == "cc0-1.0"
    assert data.language == ["de"]
    assert data.pipeline_tag == "audio-classification"
    assert data.base_model == ["Qwen/Qwen2.5-0.5B-Instruct", "ann/encoder"]
    assert "speech-emotion-recognition" in data.tags
    assert data.eval_results
    assert {(r.metric_type, r.metric_value) for r in data.eval_results} == {
        ("recall", 0.5),
        ("accuracy", 0.5),
    }
    assert not any(name.endswith((".py", ".bin", ".pt")) for name in found[1])


def test_the_own_text_and_fields_of_a_folder_stay(model: Path) -> None:
    (model / "README.md").write_text("---\nlicense: cc-by-4.0\ntags: [mine]\n---\n# My model\n")
    *_, upload = repositories.model_calls(model, "ann/mine")
    written = upload.arguments["path_or_fileobj"].decode()
    head = yaml.safe_load(written.split("---\n")[1])
    assert (head["license"], head["tags"]) == ("cc-by-4.0", ["mine"])
    assert "# My model" in written


def test_the_bundled_model_has_terms_and_base() -> None:
    *_, upload = repositories.model_calls(ASSETS / "tiny", "ann/tiny")
    head = yaml.safe_load(upload.arguments["path_or_fileobj"].decode().split("---\n")[1])
    assert head["license"] == "cc-by-nc-sa-4.0"
    assert head["base_model"] == ["openai/whisper-base"]
    assert head["language"] == ["de", "am", "zh", "it", "pl"]


def test_a_model_that_nobody_could_use_is_not_pushed(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        repositories.model_calls(model, "ann/mine")
    assert caught.value.code == "deploy_no_licence"
    path = model / MANIFEST_NAME
    manifest = json.loads(path.read_text())
    manifest["encoder"]["id"] = str(model.parent / "encoder")
    path.write_text(json.dumps(manifest))
    with pytest.raises(ConfigError) as caught:
        repositories.model_calls(model, "ann/mine", licence="cc0-1.0")
    assert caught.value.code == "deploy_encoder"
    assert main(["model", str(tmp_path), "--to", "ann/mine", "--dry-run"]) == 1


# --- labels


def test_labels_are_pushed_as_an_audio_folder(remote: Hub, tmp_path: Path) -> None:
    from datasets import load_dataset_builder

    sound = tmp_path / "a.wav"
    soundfile.write(sound, voiced(1.0), 16000)
    about: dict[str, Any] = {"seconds": 1.0, "source": "/home/zoe/x", "reason": "plain"}
    task = Task("t1", str(sound), **about, speaker="Zoe", original="angry")
    labels = tuple(Label("t1", person, "angry", note="of Zoe") for person in ("Bob", "Ann"))
    outcomes = [Outcome(task, labels), Outcome(Task("t2", str(sound), **about))]
    run(repositories.label_calls(outcomes, tmp_path / "written", "ann/labels"))
    found = remote.repositories["datasets/ann/labels"]
    assert found.made["visibility"] == "private"
    newest = found.at("main")
    assert newest
    text = newest[1]["metadata.jsonl"].decode()
    assert not any(name in text for name in ("Zoe", "zoe", "Bob", "Ann"))
    pulled = tmp_path / "pulled"
    for path, content in newest[1].items():
        (pulled / path).parent.mkdir(parents=True, exist_ok=True)
        (pulled / path).write_bytes(content)
    builder = load_dataset_builder("audiofolder", data_dir=str(pulled))
    listed = {Path(path).name for path in builder.config.data_files["train"]}
    row = json.loads(text)
    assert listed == {"metadata.jsonl", Path(row["file_name"]).name}
    assert (row["label"], row["speaker"]) == ("angry", "speaker 1")
    assert (pulled / row["file_name"]).read_bytes() == sound.read_bytes()
    with pytest.raises(ConfigError) as caught:
        repositories.label_calls(outcomes[1:], tmp_path / "none", "ann/labels")
    assert caught.value.code == "deploy_no_labels"


def test_clips_that_a_killed_command_has_copied_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are people's voices: with the folders of killed pages."""
    sound, home, copies = (tmp_path / name for name in ("a.wav", "home", "copies"))
    copies.mkdir()
    soundfile.write(sound, voiced(1.0), 16000)
    store = LabelStore(home)
    store.add_tasks([Task("t1", str(sound), seconds=1.0, source="", reason="plain")])
    store.add_label(Label("t1", "Ann", "angry"))
    monkeypatch.setenv("AUDIOLLM_HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    monkeypatch.setattr("audiollm.deploy.__main__.full_name", lambda name, **_: name)
    found: list[bool] = []

    def swept(_: Any) -> Any:
        """In place of the upload: a page starts now, and long after a kill."""
        (copy,) = copies.glob("**/*.wav")
        for age in (0, 2 * temporary.HOUR):
            os.utime(copy, 2 * (time.time() - age,))
            temporary.sweep(copies)
            found.append(copy.exists())
        return SimpleNamespace(repo_url="somewhere")

    monkeypatch.setattr("audiollm.deploy.__main__.run", swept)
    assert main(["labels", "--to", "ann/labels"]) == 0
    assert found == [True, False]


# --- who may see it


@pytest.mark.parametrize("kind", ["space", "model", "dataset"])
def test_what_exists_becomes_public_when_that_is_asked_for_and_stays_so(
    remote: Hub, place: Path, model: Path, tmp_path: Path, kind: str
) -> None:
    sound = tmp_path / "a.wav"
    soundfile.write(sound, voiced(1.0), 16000)
    task = Task("t1", str(sound), seconds=1.0, source="", reason="plain")
    outcomes = [Outcome(task, (Label("t1", "Ann", "angry"),))]

    def seen(public: bool) -> str:
        match kind:
            case "space":
                calls = space.calls("ann/a", place, SpaceOptions(public=public))
            case "model":
                calls = repositories.model_calls(model, "ann/a", licence="mit", public=public)
            case _:
                folder = tmp_path / f"written {len(remote.requests)}"
                calls = repositories.label_calls(outcomes, folder, "ann/a", public=public)
        run(calls)
        return str(remote.repositories[f"{kind}s/ann/a"].made["visibility"])

    assert [seen(public) for public in (False, True, False)] == ["private", "public", "public"]


# --- the program interface


def test_importing_the_package_is_cheap() -> None:
    code = (
        "import sys, audiollm; audiollm.load; print({'torch', 'numpy', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
