"""What the page does, for programs: endpoints of gradio_client and curl, tools of an MCP server.

Plain functions answer; `register` publishes them. docs/api.md says how to call them.
"""

import importlib
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial, wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar
from urllib.parse import unquote

import gradio as gr
from gradio.context import LocalContext
from gradio.utils import get_upload_folder

from audiollm.errors import AudioError, AudioLLMError, ConfigError
from audiollm.labels import Language
from audiollm.web import render
from audiollm.web.analyse.clip_loading import load_sound
from audiollm.web.auth import identity
from audiollm.web.events import ANSWER, Cancelled, public
from audiollm.web.services import Services

if TYPE_CHECKING:
    from audiollm.predictor import Prediction

MOST_FILES = 64  # in one batch: page and programs share one model, and a batch holds it to its end
OURS = "/gradio_api/file="  # what follows it in the address of an uploaded file is its path
P = ParamSpec("P")
R = TypeVar("R")
Recording: TypeAlias = gr.FileData | str  # an uploaded file; or its address here, or a data: URI


def register(services: Services) -> None:
    """Publish `/analyse`, `/analyse_batch`, `/analyse_one_speaker` and `/model`.

    Call it inside the page's Blocks.

    The functions' names and docstrings are what an MCP client reads. Gradio reads the types and
    passes JSON: a `gr.FileData` arrives as a dict of its fields. All have to be listed as
    tools: Gradio checks no arguments of one that is not, and would upload the server's own files.
    """

    @_in_a_sentence
    def classify_emotion(file: Recording, language: Language = "en") -> dict[str, Any]:
        """Classify the emotion that the voice in a sound file expresses.

        It reads the expression of a voice, not what the person feels inside, and it is often
        wrong: describe_model says how often.

        Args:
            file: one recording of a voice: an uploaded file, its address here, or a data: URI
            language: of the written analysis: en for English, zh for Chinese

        Returns:
            label, a probability for every class, the written analysis, its parts, measured cues
        """
        return analyse(services, file, language)

    @_in_a_sentence
    def classify_emotions(
        files: list[Recording], language: Language = "en"
    ) -> list[dict[str, Any]]:
        """Classify the emotion that the voice in each of several sound files expresses.

        Args:
            files: at most 64 recordings: uploaded files, their addresses here, or data: URIs
            language: of the written analyses: en for English, zh for Chinese

        Returns:
            for every file in order what classify_emotion returns, or its error as one sentence
        """
        return analyse_batch(services, files, language)

    @_in_a_sentence
    def classify_one_speaker(
        files: list[Recording], language: Language = "en"
    ) -> list[dict[str, Any]]:
        """Classify the emotion that one person expresses in each of several sound files.

        Each recording is compared with the others, which makes the answers more often right from
        four recordings on.

        Args:
            files: at most 64 recordings of one person, as for classify_emotions
            language: of the written analyses: en for English, zh for Chinese

        Returns:
            for every file in order what classify_emotion returns, or its error as one sentence
        """
        return analyse_batch(services, files, language, same_speaker=True)

    @_in_a_sentence
    def describe_model() -> dict[str, Any]:
        """Say which model answers, which emotions it knows and how often it is right.

        Returns:
            name, labels, languages, parameters, device, metrics on new speakers
        """
        return model(services)

    gr.api(classify_emotion, api_name="analyse", **ANSWER)
    gr.api(classify_emotions, api_name="analyse_batch", **ANSWER)
    gr.api(classify_one_speaker, api_name="analyse_one_speaker", **ANSWER)
    gr.api(describe_model, api_name="model")


def analyse(services: Services, file: object, language: Language) -> dict[str, Any]:
    """The answer to one sound, `Prediction.to_dict()`.

    Raises:
        AudioLLMError: the sound cannot be used, the language is not taught, there is no model.
    """
    (answer,) = _answers(services, [file], language)
    if isinstance(answer, AudioLLMError):
        raise answer
    return answer.to_dict()


def analyse_batch(
    services: Services, files: object, language: Language, same_speaker: bool = False
) -> list[dict[str, Any]]:
    """An answer to every sound, in order; {"error": sentence} where there is none.

    `same_speaker`: one person speaks in all of them.

    Raises:
        AudioLLMError: no list, too many files, the language is not taught, there is no model.
    """
    if not isinstance(files, list):
        raise AudioError("api_no_list")
    if len(files) > MOST_FILES:
        raise AudioError("api_too_many", n=len(files), limit=MOST_FILES)
    answers = _answers(services, files, language, same_speaker)
    return [
        {"error": a.in_language(language)} if isinstance(a, AudioLLMError) else a.to_dict()
        for a in answers
    ]


def _answers(
    services: Services, files: Sequence[object], language: Language, same_speaker: bool = False
) -> "list[Prediction | AudioLLMError]":
    """In the order of the files. What came inside the call is deleted at once."""
    predictor = services.predictor()
    settings, most = services.settings, services.settings.max_bytes
    waits = partial(require_caller, still_there())
    turn = services.turns.take(waits, identity.caller())
    with TemporaryDirectory(prefix="audiollm-") as folder, turn as lent:
        received = [_received(file, Path(folder), most) for file in files]
        paths = [item for item in received if isinstance(item, Path)]
        load = partial(load_sound, settings=settings, report=waits, lent=lent)
        answers = predictor.predict_files(
            paths, language, same_speaker=same_speaker, load=load, progress=waits
        )
        return [next(answers)[1] if isinstance(item, Path) else item for item in received]


def still_there() -> Callable[[], bool]:
    """Whether the caller of the running event still waits for its answer."""
    blocks, id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    queue: Any = blocks._queue if blocks and id else None
    event = None if queue is None else queue.event_ids_to_events.get(id)
    if event is None:
        return lambda: True
    pending = queue.pending_event_ids_session
    return lambda: event.alive and id in pending.get(event.session_hash, ())


def require_caller(there: Callable[[], bool], _: object = None) -> None:
    """Raises: Cancelled: the caller has hung up."""
    if not there():
        raise Cancelled


def model(services: Services) -> dict[str, Any]:
    """The card of the model that answers, without its place on this machine.

    Raises:
        ModelError: it could not be loaded.
    """
    card = asdict(services.predictor().card)
    return {name: value for name, value in card.items() if name != "folder"}


def _received(file: object, folder: Path, most: int) -> Path | AudioError:
    """Where the sound lies that a caller sent; what a string holds is put into the folder."""
    try:
        if isinstance(file, str) and OURS not in file:
            return save_data_uri(file, folder, most)
        return uploaded_path(file)
    except AudioError as error:
        return error


def uploaded_path(file: object) -> Path:
    """Where an uploaded file lies; `file` is whatever the caller sent: a FileData or its address.

    Gradio checks only paths that come with its own `meta` mark, so a path without it would open
    any file of this machine: nothing outside the upload folder passes here.

    Raises:
        AudioError: not a file that was uploaded.
    """
    name = file.get("path") if isinstance(file, dict) else file
    if isinstance(file, str):
        name = unquote(file.rpartition(OURS)[2])
    try:
        path = Path(name).resolve() if isinstance(name, str) else None
    except (OSError, ValueError):  # zero byte in it, links in a circle
        path = None
    if path is None or not path.is_relative_to(Path(get_upload_folder()).resolve()):
        raise AudioError("api_not_uploaded")
    return path


def save_data_uri(address: str, folder: Path, most: int) -> Path:
    """A new file in the folder with what a data: URI holds, `most` bytes of it at most.

    No other address is opened: whoever serves it could send without end, and hold the model.

    Raises:
        AudioError: no data: URI, broken, or too large.
    """
    head, _, content = address.partition(",")
    if not head.startswith("data:"):
        raise AudioError("api_no_sound")
    if len(content) * 3 // 4 > most:
        raise AudioError("api_too_large", limit=f"{most / 1e6:.0f}")
    try:
        decoded = b64decode(content, validate=True)
    except ValueError as error:
        raise AudioError("api_no_base64") from error
    path = folder / f"sound-{len(list(folder.iterdir()))}"
    path.write_bytes(decoded)
    return path


def _in_a_sentence(answer: Callable[P, R]) -> Callable[P, R]:
    """Every failure reaches the caller as one sentence, in the language of the answer that was
    asked for; a bug also reaches the log."""

    @public
    @wraps(answer)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        language: Language = "zh" if "zh" in (*args[1:], kwargs.get("language")) else "en"
        try:
            return answer(*args, **kwargs)
        except Cancelled as error:
            raise gr.Error(print_exception=False) from error  # nobody reads it
        except Exception as error:
            message = render.explained(error, language)
            raise gr.Error(message, print_exception=False) from error

    return wrapped


def require_mcp() -> bool:
    """True where Gradio's MCP server can start; Gradio itself would start without it in silence.

    Raises:
        ConfigError: the package is missing, or a version that Gradio does not know.
    """
    try:
        for part in ("lowlevel.helper_types", "sse", "streamable_http_manager"):
            importlib.import_module(f"mcp.server.{part}")
    except ImportError as error:
        raise ConfigError("config_mcp") from error
    return True
