"""The GPU that a model is loaded on, and whether a training needs it now."""

import logging
import sqlite3

from audiollm.errors import AudioLLMError
from audiollm.jobs import gpu_memory
from audiollm.settings import Settings

LOG = logging.getLogger(__name__)


def gpu(settings: Settings) -> str:
    """The GPU that a model would be loaded on, if there is one."""
    return "cuda:0" if settings.device == "auto" else named(settings.device)


def named(device: str) -> str:
    """A device as jobs name it; "" where it is no GPU of NVIDIA's kind."""
    return "cuda:0" if device == "cuda" else device if device.startswith("cuda:") else ""


def away(settings: Settings) -> str:
    """The name of the job for which a model that is loaded now has to stay away; "": none."""
    device = gpu(settings)
    try:
        job = gpu_memory.requesting_job(settings.home, device) if device else None
    except (AudioLLMError, OSError, sqlite3.Error) as error:
        LOG.warning("nobody knows whether a training wants room: %s", error)
        return ""
    return job.name if job else ""
