"""Where recordings, and files that are handed out, lie for as long as the page is served."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def folder() -> Iterator[None]:
    """A folder that only this user may enter; it goes, with all that is in it, at the end."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="audiollm-") as path:
        os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = path
        try:
            yield
        finally:
            tempfile.tempdir = before
