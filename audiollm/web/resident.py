"""The model that answers makes room for a training on its GPU, and comes back by itself.

It goes to the CPU: people get their answers, only later. Whether a job wants room is written in its
folder (audiollm/jobs/gpu_memory.py), so this is found again after a restart.
"""

import logging
import sqlite3
import time
from threading import Thread

from audiollm.errors import AudioLLMError
from audiollm.jobs import gpu_memory
from audiollm.web.gpu import gpu, named
from audiollm.web.services import Services

LOG = logging.getLogger(__name__)
PAUSE = 2.0  # s between two looks


def watched(services: Services) -> Services:
    """The services, at which a thread looks for as long as the program runs."""

    def forever() -> None:
        while True:
            try:
                look(services)
            except (AudioLLMError, OSError, sqlite3.Error) as error:
                LOG.warning("nobody knows whether a training wants room: %s", error)
            time.sleep(PAUSE)

    Thread(target=forever, name="make-room", daemon=True).start()
    return services


def look(services: Services) -> None:
    """Moves the model away where a job wants its place, and back where none does any more.

    Raises:
        AudioLLMError: the list of jobs cannot be read.
    """
    if not services.ready:
        return
    home, device = services.settings.home, place(services)
    if not device:
        return
    if services.away:
        if gpu_memory.in_use(home, device):
            services.give_memory_back()  # of whoever was still being answered
        else:
            services.come_back()
    elif job := gpu_memory.requesting_job(home, device):
        services.move_away(job.name)


def place(services: Services) -> str:
    """The GPU that is the model's, `cuda:N`, also while it is away; "": none."""
    if services.away or not services.ready or services.model.exception():
        return gpu(services.settings)
    return named(services.predictor().card.device)
