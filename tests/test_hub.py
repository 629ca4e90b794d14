"""Where models are looked for, and what is said when they are nowhere."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audiollm import hub
from audiollm.errors import ModelError
from audiollm.hub import ENCODER_FILES, locate
from audiollm.hub.clients import Hub
from audiollm.settings import Settings

ID = "emotion2vec_plus_base"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home of its own, an empty working folder, and a hub that cannot be reached."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    use(monkeypatch, unreachable)
    monkeypatch.setattr(hub, "_unreachable", lambda _: "no connection: no such host")
    return Settings(home=tmp_path / "home")


def unreachable(repository: str, **_: Any) -> str:
    raise ConnectionError(f"{repository} is far away\nand more lines")


def use(monkeypatch: pytest.MonkeyPatch, fetch: Callable[..., str], **options: Any) -> None:
    site, command = "https://hub.example", "hf download {}"
    made = Hub(fetch, site, Path("/cache"), command, "--to", **options)
    monkeypatch.setattr(hub, "HUBS", {"huggingface": lambda: made, "modelscope": lambda: made})


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or ("config.yaml", "model.pt"):
        (folder / name).write_bytes(b"x")
    return folder.resolve()


def encoder(id: str, settings: Settings) -> Path:
    return locate(id, settings, files=ENCODER_FILES, kind="encoder")


def test_a_folder_is_taken_as_it_is(settings: Settings, tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine")
    assert encoder(str(folder), settings) == folder
    assert encoder("../mine", settings) == folder
    assert encoder("../mine/", settings) == folder


def test_safetensors_are_as_good_as_a_checkpoint(settings: Settings, tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", "config.yaml", "model.safetensors")
    assert encoder(str(folder), settings) == folder


def test_a_folder_that_lacks_a_file_is_not_looked_for_elsewhere(
    settings: Settings, tmp_path: Path
) -> None:
    fill(tmp_path / "cwd" / "owner" / "mine", "config.yaml")  # reads like a hub id, too
    with pytest.raises(ModelError, match=r"owner/mine .* has no model\.safetensors or \*\.pt"):
        encoder("owner/mine", settings)


def test_what_ships_with_the_program_comes_before_the_home_folder(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = fill(tmp_path / "assets" / "encoder")
    monkeypatch.setitem(hub.ENCODERS, "ours", hub.Source(folder=shipped))
    fill(settings.home / "models" / "ours")
    assert encoder("ours", settings) == shipped


def test_what_ships_is_here(settings: Settings) -> None:
    assert encoder(hub.BUNDLED_ENCODER, settings) == hub.ENCODERS[hub.BUNDLED_ENCODER].folder
    with pytest.raises(ModelError, match="There is no model 'tiny'"):
        encoder("tiny", settings)  # of earlier versions


def test_a_broken_clone_is_said_to_be_one(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(hub.ENCODERS, "ours", hub.Source(folder=tmp_path / "gone"))
    with pytest.raises(ModelError, match=r"ships with the program, but .*gone has no config\.yaml"):
        encoder("ours", settings)


@pytest.mark.parametrize("id", [ID, f"emotion2vec/{ID}", f"iic/{ID}"])
def test_the_home_folder_is_found_by_preset_and_by_hub_id(settings: Settings, id: str) -> None:
    folder = fill(settings.home / "models" / ID)
    assert encoder(id, settings) == folder


@pytest.mark.parametrize(
    "id", ["", " ", "..", "../..", "a/..", "/", "~/../..", "a\0b", "x" * 5000, "~nobody-here/x"]
)
def test_no_id_leaves_the_home_folder_by_the_back_door(settings: Settings, id: str) -> None:
    fill(settings.home.parent)  # what `home/models/../..` would be
    fill(settings.home)
    if id in ("..", "../.."):  # as a folder, seen from the working folder
        settings = replace(settings, home=settings.home / "deeper" / "home")
        (settings.home.parent.parent.parent / "config.yaml").unlink()
    with pytest.raises(ModelError) as caught:
        encoder(id, settings)
    assert "\n" not in str(caught.value)


def test_a_missing_model_is_one_sentence_with_places_and_command(settings: Settings) -> None:
    with pytest.raises(ModelError) as caught:
        encoder(ID, settings)
    message, home = str(caught.value), settings.home.resolve() / "models" / ID
    assert "\n" not in message
    assert caught.value.code == "hub_not_downloaded"
    assert "no connection: no such host" in message
    for place in (Path.cwd() / ID, home, "/cache"):
        assert str(place) in message
    assert f"`hf download emotion2vec/{ID} --to {home}`" in message


def test_an_unknown_name_lists_the_known_ones(settings: Settings) -> None:
    with pytest.raises(ModelError, match=r"no model 'gpt': .*tiny, qwen2\.5-0\.5b"):
        locate("gpt", settings)


@pytest.mark.parametrize(("site", "owner"), [("huggingface", "emotion2vec"), ("modelscope", "iic")])
def test_the_hub_is_asked_for_named_files_only(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: str, owner: str
) -> None:
    asked: list[tuple[str, bool]] = []

    def fetch(repository: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        asked.append((repository, local_files_only))
        assert not any(p.endswith((".py", ".bin")) or p == "*" for p in allow_patterns)
        if local_files_only:
            raise FileNotFoundError("not in the cache")
        return str(fill(tmp_path / "cache"))

    use(monkeypatch, fetch)
    monkeypatch.setattr(hub, "_unreachable", lambda _: "")
    assert encoder(ID, replace(settings, hub=site)) == tmp_path / "cache"
    assert asked == [(f"{owner}/{ID}", True), (f"{owner}/{ID}", False)]


def test_the_cache_of_the_hub_needs_no_network(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = fill(tmp_path / "cache", "config.json", "a.safetensors", "tokenizer.json")
    use(monkeypatch, lambda *_, **__: str(cache))
    assert locate("Qwen/Qwen2.5-0.5B-Instruct", settings) == cache
    assert locate("qwen2.5-0.5b", settings) == cache


def test_a_repository_of_something_else_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = fill(tmp_path / "cache", "README.md")
    use(monkeypatch, lambda *_, **__: str(cache))
    monkeypatch.setattr(hub, "_unreachable", lambda _: "")
    with pytest.raises(ModelError, match=r"someone/thing holds no config\.json"):
        locate("someone/thing", settings)


def test_offline_mode_is_respected(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def fetch(repository: str, *, local_files_only: bool, **_: Any) -> str:
        asked.append(local_files_only)
        return unreachable(repository)

    use(monkeypatch, fetch, offline=True)
    with pytest.raises(ModelError, match="offline mode is set"):
        encoder(ID, settings)
    assert asked == [True]


def test_a_refusal_of_the_hub_is_one_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_unreachable", lambda _: "")
    with pytest.raises(ModelError, match=r"ConnectionError: .* is far away") as caught:
        encoder(ID, settings)
    assert "\n" not in str(caught.value)


def test_a_closed_port_is_noticed() -> None:
    reason = hub._unreachable("http://127.0.0.1:9")
    assert isinstance(reason, ModelError) and reason.code == "hub_no_connection"


def test_the_real_client_without_network_gives_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(ModelError, match="no connection"):
        encoder(ID, Settings(home=tmp_path))


# ---- the two kinds of encoder


def whisper(folder: Path, *names: str) -> Path:
    fill(folder, *(names or ("model.safetensors",)))
    (folder / "config.json").write_text('{"model_type": "whisper"}')
    return folder.resolve()


def test_the_content_of_a_folder_decides_its_kind(settings: Settings, tmp_path: Path) -> None:
    folder = whisper(tmp_path / "emotion2vec")
    assert hub.encoder_kind(folder) == "whisper"
    assert encoder(str(folder), settings) == folder
    assert hub.encoder_kind(fill(tmp_path / "whisper")) == "emotion2vec"
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    assert hub.encoder_kind(folder) is None
    with pytest.raises(ModelError, match=r"has no config\.yaml .*config\.json"):
        encoder(str(folder), settings)
    fill(folder, "config.yaml")
    assert hub.encoder_kind(folder) == "emotion2vec"


def test_whisper_needs_safetensors(settings: Settings, tmp_path: Path) -> None:
    folder = whisper(tmp_path / "mine", "model.pt")
    with pytest.raises(ModelError, match=r"it has no model\.safetensors\.$"):
        encoder(str(folder), settings)


def test_a_language_model_does_not_stand_in_the_way_of_an_encoder(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "cwd" / "ours", "config.json", "model.safetensors", "tokenizer.json")
    shipped = fill(tmp_path / "assets" / "encoder")
    monkeypatch.setitem(hub.ENCODERS, "ours", hub.Source(folder=shipped))
    assert encoder("ours", settings) == shipped
    assert hub.here("ours", settings, kind="encoder") == shipped


@pytest.mark.parametrize(
    "id", ["whisper-base", "openai/whisper-base", "openai-mirror/whisper-base"]
)
def test_a_whisper_preset_is_found_in_the_home_folder(settings: Settings, id: str) -> None:
    folder = whisper(settings.home / "models" / "whisper-base")
    assert encoder(id, settings) == folder
    assert hub.here(id, settings, kind="encoder") == folder
    assert (hub.preset(id).layers, hub.preset(id).statistics) == ((1, 2, 3), "mean_std")


def test_a_name_that_is_no_preset_brings_no_layers() -> None:
    for id in ("", "mine", "someone/whisper-base", "tiny"):
        assert hub.preset(id).layers == ()


@pytest.mark.parametrize(
    ("site", "owner"), [("huggingface", "openai"), ("modelscope", "openai-mirror")]
)
def test_of_whisper_three_files_are_asked_for(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: str, owner: str
) -> None:
    asked: list[tuple[str, list[str]]] = []

    def fetch(repository: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        asked.append((repository, allow_patterns))
        if local_files_only:
            raise FileNotFoundError("not in the cache")
        return str(whisper(tmp_path / "cache"))

    use(monkeypatch, fetch)
    monkeypatch.setattr(hub, "_unreachable", lambda _: "")
    for name in ("whisper-base", "whisper-small", "whisper-large-v3-turbo"):
        assert encoder(name, replace(settings, hub=site)) == tmp_path / "cache"
        repository, patterns = asked[-1]
        assert repository == f"{owner}/{name}"
        assert patterns == ["config.json", "model.safetensors", "preprocessor_config.json"]


def test_the_hubs_own_cache_is_used_without_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Laid out as Hugging Face's client does, opened by that client."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    store = tmp_path / "cache" / "models--openai--whisper-base"
    snapshot = whisper(store / "snapshots" / ("a" * 40))
    (store / "refs").mkdir()
    (store / "refs" / "main").write_text("a" * 40)
    for id in ("whisper-base", "openai/whisper-base"):
        assert encoder(id, Settings(home=tmp_path / "home")).resolve() == snapshot
