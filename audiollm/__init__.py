"""Speech emotion recognition with an Audio-LLM: audio encoder -> projector -> LLM."""

__version__ = "0.1.0"
