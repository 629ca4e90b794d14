"""An LLM on a vLLM server gives the answers of the same LLM in this process."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from audiollm import audio
from audiollm.audio import prosody
from audiollm.audio.prosody import Cues
from audiollm.contracts.manifest import MANIFEST_NAME
from audiollm.errors import AudioLLMError, ConfigError, ModelError
from audiollm.labels import LANGUAGES, Language
from audiollm.model import checkpoint
from audiollm.model.checkpoint import Checkpoint
from audiollm.model.prompt import Prompt
from audiollm.model.remote import RemoteScorer, RemoteTexts
from audiollm.model.scoring import Scorer
from audiollm.model.vllm import Server
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from tests import tiny
from tests.conftest import voiced
from tests.vllm_server import Lookalike, serving

CUES = Cues(2.0, 210.0, 6.0, -20.0, 15.0, -3.0, 6.5, 0.05)
KEY = "a key"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("remote")
    return tiny.model_folder(place, Settings(home=place, device="cpu"))


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Lookalike]:
    with serving(folder, KEY) as running:
        yield running


@pytest.fixture(scope="module")
def whole(folder: Path) -> Checkpoint:
    return checkpoint.load(str(folder), Settings(home=folder))


@pytest.fixture(scope="module")
def table(folder: Path) -> Checkpoint:
    return checkpoint.load(str(folder), Settings(home=folder), table_alone=True)


def remote(table: Checkpoint, prompt: Prompt, server: Lookalike) -> RemoteScorer:
    client = Server(server.url, KEY, table.model.causal_lm.dtype)  # type: ignore[arg-type]
    return RemoteScorer(table.model, prompt, client)


def clips(model: Checkpoint) -> list[tiny.Features]:
    size = model.manifest.projector.functionals
    found = [tiny.features(n, seed=n) for n in (3, 100, 41)]
    return [replace(f, functionals=torch.ones(size).numpy()) for f in found]


def told_in_the_log_alone(
    error: AudioLLMError, words: str, caplog: pytest.LogCaptureFixture
) -> bool:
    """Visitors of a public page read the sentence, whoever runs it the log."""
    logged = words in caplog.text
    caplog.clear()
    return logged and not any(words in error.in_language(language) for language in LANGUAGES)


def test_of_the_llm_only_the_embeddings_are_loaded(whole: Checkpoint, table: Checkpoint) -> None:
    ids = [1, 5, 7]
    torch.testing.assert_close(table.model.embed(ids), whole.model.embed(ids))
    sizes = [sum(p.numel() for p in c.model.llm.parameters()) for c in (table, whole)]
    assert sizes[0] == whole.model.llm.get_input_embeddings().weight.numel() < sizes[1]  # type: ignore[operator]


@pytest.mark.parametrize("languages", [(), LANGUAGES])
@pytest.mark.parametrize("first_tokens", [False, True])
@pytest.mark.parametrize("classes", [tiny.CLASSES, ("angry", "anxious", "sad")])
def test_the_probabilities_are_those_of_this_process(
    whole: Checkpoint,
    table: Checkpoint,
    server: Lookalike,
    languages: tuple[Language, ...],
    first_tokens: bool,
    classes: tuple[str, ...],
) -> None:
    prompt = Prompt(tiny.tokenizer(), classes, "chat", languages, first_tokens)
    cues = [CUES, None, CUES]
    here = Scorer(whole.model, prompt).score(clips(whole), cues, "en")
    there = remote(table, prompt, server).score(clips(table), cues, "en")
    torch.testing.assert_close(there, here, atol=1e-4, rtol=1e-5)


def test_texts_and_answers_go_on_as_in_this_process(
    whole: Checkpoint, table: Checkpoint, server: Lookalike
) -> None:
    prompt = Prompt(tiny.tokenizer(), tiny.CLASSES)
    here, there = Scorer(whole.model, prompt), remote(table, prompt, server)
    texts = RemoteTexts(there)
    # greedily: a server has random numbers of its own
    contexts = [
        replace(there.analysis_context(line, "zh", 1), seed=None) for line in ("类别：生气", "难过")
    ]
    expected = []
    for line in ("类别：生气", "难过"):
        found: dict[int, str | BaseException] = {}
        here.write(
            [replace(here.analysis_context(line, "zh", 1), seed=None)], [str], found.__setitem__
        )
        expected.append(found[0])
    assert texts.write(contexts) == expected
    pieces: list[str] = []
    assert texts.stream(contexts[1], pieces.append) == expected[1]
    assert len(pieces) > 1 and "".join(pieces).strip() == expected[1]
    assert server.requests[-1]["max_tokens"] == contexts[1].most
    texts.stream(there.analysis_context("难过", "zh", 7, "声音"), str)
    assert (server.requests[-1]["seed"], server.requests[-1]["temperature"]) == (7, 1.0)

    known = {"angry": 0.7, "sad": 0.3}
    asked = [s.question_context(clips(table)[0], CUES, "Why?", "en", known) for s in (here, there)]
    written: dict[int, str | BaseException] = {}
    here.write([asked[0]], [str], written.__setitem__)  # type: ignore[list-item]
    assert texts.stream(asked[1], str) == written[0]  # type: ignore[arg-type]


def test_a_reader_who_leaves_ends_the_text(table: Checkpoint, server: Lookalike) -> None:
    scorer = remote(table, Prompt(tiny.tokenizer(), tiny.CLASSES), server)

    def leave(_: str) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        RemoteTexts(scorer).stream(scorer.analysis_context("class: sad", "en", 0), leave)


def test_many_classes_take_several_requests(table: Checkpoint, server: Lookalike) -> None:
    client = Server(server.url, KEY, torch.float32)
    prompts = [table.model.embed([i]) for i in range(70)]
    ids = list(range(200))
    before = len(server.requests)
    found = client.log_probabilities(prompts, ids)
    assert found.shape == (70, 200) and len(server.requests) - before == 4
    logs = server.llm(inputs_embeds=prompts[69][None]).logits[0, -1].log_softmax(-1)
    torch.testing.assert_close(found[69], logs[ids].detach(), atol=1e-4, rtol=1e-5)


def test_a_sound_is_answered_by_the_page_s_engine(folder: Path, server: Lookalike) -> None:
    sound = audio.from_array(voiced(2.0, 140), audio.SAMPLE_RATE)
    settings = Settings(home=folder, device="cpu")
    here = Predictor.load(str(folder), settings)
    elsewhere = replace(settings, engine=server.url, engine_key=KEY)
    there = Predictor.load(str(folder), elsewhere)
    first, second = here.predict([sound])[0], there.predict([sound])[0]
    assert second.text == first.text and second.label == first.label
    assert second.probabilities == pytest.approx(first.probabilities, abs=1e-4)
    assert there.card.device == "vLLM" and there.card.parameters < here.card.parameters
    shown: list[object] = []
    assert there.stream(sound, "zh", shown.append).text == here.stream(sound, "zh").text
    assert len(shown) >= 2
    assert KEY not in repr(elsewhere)
    followed = prosody.track(sound.samples)
    assert there.probe(sound, followed) == pytest.approx(here.probe(sound, followed))


@pytest.mark.parametrize(
    ("broken", "code"),
    [(b"<html>", "engine_unreadable"), (b'{"choices": [{"index": 0}]}', "engine_unreadable")],
)
def test_what_answers_otherwise_is_refused(
    folder: Path,
    table: Checkpoint,
    broken: bytes,
    code: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(folder) as server:
        client = Server(server.url, "", torch.float32)
        server.broken = broken
        with pytest.raises(ModelError) as caught:
            client.log_probabilities([table.model.embed([1])], [2])
        assert caught.value.code == code and told_in_the_log_alone(caught.value, server.url, caplog)
        with pytest.raises(ModelError) as caught:
            Server(server.url, "", torch.float32)
        assert caught.value.code == code


def test_a_text_that_breaks_off_is_an_error(folder: Path, table: Checkpoint) -> None:
    with serving(folder) as server:
        client = Server(server.url, "", torch.float32)
        for broken, code in (
            (b"data: nonsense\n\n", "engine_unreadable"),
            (b'data: {"error": {"message": "out of memory"}}\n\n', "engine_refused"),
        ):
            server.broken = broken
            with pytest.raises(ModelError) as caught:
                list(client.stream(table.model.embed([1, 2]), 5, -1))
            assert caught.value.code == code


def test_a_wrong_key_type_or_width_is_refused_in_the_server_s_words(
    folder: Path, server: Lookalike, table: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ModelError) as caught:
        Server(server.url, "another", torch.float32)
    assert caught.value.code == "engine_refused"
    assert told_in_the_log_alone(caught.value, "401", caplog)
    client = Server(server.url, KEY, torch.bfloat16)  # the folder is float32
    for ask in (
        lambda: client.log_probabilities([table.model.embed([1])], [2]),
        lambda: list(client.stream(table.model.embed([1]), 5, 0)),
    ):
        with pytest.raises(ModelError) as caught:
            ask()
        assert caught.value.code == "engine_refused"
        assert told_in_the_log_alone(caught.value, "bfloat16", caplog)


def test_a_server_that_is_not_there_is_named_in_the_log(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(home=folder, engine="http://127.0.0.1:9/v1")
    with pytest.raises(ModelError) as caught:
        Predictor.load(str(folder), settings)
    assert caught.value.code == "engine_unreachable"
    assert told_in_the_log_alone(caught.value, "127.0.0.1:9/v1", caplog)


def test_a_proxy_of_the_environment_is_not_used(
    server: Lookalike, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    assert Server(server.url, KEY, torch.float32).url == server.url


def test_the_engine_is_a_url() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_env({"AUDIOLLM_ENGINE": "10.0.0.2:8000"})
    assert caught.value.code == "setting_value" and "10.0.0.2:8000" in str(caught.value)


def test_a_folder_without_the_table_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    copy = Path(shutil.copytree(folder, tmp_path / "model"))
    kept = load_file(copy / "model.safetensors")
    kept.pop("model.embed_tokens.weight")
    save_file(kept, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError) as caught:
        checkpoint.load(str(copy), Settings(home=tmp_path), table_alone=True)
    assert caught.value.code == "model_missing_keys"
    assert json.loads((copy / MANIFEST_NAME).read_text())["name"] == "test"
