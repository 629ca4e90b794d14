"""Spaces, models and labels on the Hugging Face hub: `python -m audiollm.deploy --help`."""
