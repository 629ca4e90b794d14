"""Who may do what changes this machine: for now, only people who sit at it."""

from audiollm.errors import AudioLLMError
from audiollm.settings import Settings
from audiollm.ui.services import Services
from audiollm.ui.texts import text


class ShutError(AudioLLMError):
    """Somebody who is not at the machine wants to train."""


def opened(services: Services) -> Settings:
    """The settings, for whoever may train.

    Raises:
        ShutError: other computers reach the page.
    """
    if not services.owned:
        raise ShutError(text("train_shut", "en"))
    return services.settings
