"""The Audio-LLM: projector and LLM, prompt, scoring, generation, and model folders."""
