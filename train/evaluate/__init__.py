"""Measures models on speakers that they were not trained on."""
