"""The Analyse page: a recording in, probabilities, words and pictures out."""
