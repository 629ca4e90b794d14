"""Speech emotion recognition with an Audio-LLM: audio encoder -> projector -> LLM.

from audiollm import load

answer = load("user/name")("recording.wav")
print(answer.label, answer.probabilities, answer.text)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiollm.predictor import Predictor

__all__ = ["load"]
__version__ = "0.1.0"


def load(model: str = "", **settings: Any) -> "Predictor":
    """A model that answers for sounds: see `Predictor.__call__`.

    Args:
        model: a preset, a folder, or `user/name` on the hub; `user/name@revision` pins a commit,
            tag or branch. Default: `AUDIOLLM_MODEL`, else the bundled one.
        settings: fields of `audiollm.settings.Settings`, such as device="cuda", in place of those
            of the environment.

    Raises:
        ModelError: the model is not there, is damaged, or lacks its encoder.
        ConfigError: a setting cannot be used.
    """
    from audiollm.predictor import Predictor
    from audiollm.settings import Settings

    resolved = Settings.from_env(**settings)
    return Predictor.load(model or resolved.model, resolved)
