"""From a corpus of emotional speech to a model folder: prepare, fit, merge, evaluate."""
