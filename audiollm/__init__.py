"""An Audio-LLM that hears how a person feels: emotion2vec encoder -> projector -> Qwen2.5."""

__version__ = "0.1.0"
