"""Recipes of the small model that ships in `assets/`."""
