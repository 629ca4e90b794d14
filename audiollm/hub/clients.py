"""The clients of the hubs: Hugging Face's and ModelScope's. Each is imported when it is needed."""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiollm.errors import ModelError

Report = Callable[[int, int], object]  # bytes of a download that are here, and of all its files

TIMEOUT = 5.0  # seconds until a silent hub counts as unreachable


@dataclass(frozen=True)
class Hub:
    fetch: Callable[..., str]
    site: str  # address
    cache: Path
    command: str  # that a person types
    into: str  # its option for a folder, which follows
    offline: bool = False  # the user forbids the network
    progress: Callable[[Report], dict[str, Any]] = lambda _: {}  # options of `fetch`


def _huggingface() -> Hub:
    from huggingface_hub import constants, snapshot_download

    return Hub(
        fetch=functools.partial(snapshot_download, etag_timeout=TIMEOUT),
        site=constants.ENDPOINT,
        cache=Path(constants.HF_HUB_CACHE),
        command="hf download {}",
        into="--local-dir",
        offline=bool(constants.HF_HUB_OFFLINE),
        progress=_huggingface_progress,
    )


def _huggingface_progress(report: Report) -> dict[str, Any]:
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        """The client makes several; one of them counts the bytes of all files."""

        def __init__(self, *args: Any, **options: Any) -> None:
            self._counts = options.get("name") == "huggingface_hub.snapshot_download"
            self._here = 0  # one that is not drawn does not count
            super().__init__(*args, **options)

        def update(self, n: float | None = 1) -> bool | None:
            if self._counts:
                with self.get_lock():
                    self._here += int(n or 0)
                    report(self._here, int(self.total or 0))
            drawn: bool | None = super().update(n)
            return drawn

    return {"tqdm_class": Bar}


def _modelscope() -> Hub:
    try:
        from modelscope import snapshot_download
        from modelscope.hub.api import HubApi
        from modelscope.utils.file_utils import get_modelscope_cache_dir
    except ImportError as error:
        raise ModelError("hub_no_modelscope") from error
    return Hub(
        fetch=snapshot_download,
        site=HubApi().endpoint,
        cache=Path(get_modelscope_cache_dir()),
        command="modelscope download --model {}",
        into="--local_dir",
        progress=_modelscope_progress,
    )


def _modelscope_progress(report: Report) -> dict[str, Any]:
    from modelscope.hub.callback import ProgressCallback

    lock, here, whole = threading.Lock(), 0, 0

    def add(fetched: int, size: int = 0) -> None:
        nonlocal here, whole
        with lock:
            here, whole = here + fetched, whole + size
            report(here, whole)

    class File(ProgressCallback):  # type: ignore[misc]
        def __init__(self, filename: str, file_size: int) -> None:
            super().__init__(filename, file_size)
            add(0, file_size)

        def update(self, size: int) -> None:
            add(size)

    return {"progress_callbacks": [File]}


HUBS: dict[str, Callable[[], Hub]] = {"huggingface": _huggingface, "modelscope": _modelscope}
