"""Who may do what changes this machine, or shows what is on it: its owner.

Every plain function that starts, changes or reads something of the owner's (jobs, data, labels,
models) begins with `opened(services)`. Nothing has to be handed down: who asks is known from the
event that runs (`visitors`). What must be shut as a whole on a public host is shut here alone.
"""

from audiollm.errors import AudioLLMError
from audiollm.settings import Settings
from audiollm.ui.services import Services
from audiollm.ui.texts import text


class ShutError(AudioLLMError):
    """A stranger wants to do what is the owner's."""


def opened(services: Services) -> Settings:
    """The settings, for whoever owns this machine.

    Raises:
        ShutError: a stranger asks.
    """
    if not services.owned:
        raise ShutError(text("train_shut", "en"))
    return services.settings
