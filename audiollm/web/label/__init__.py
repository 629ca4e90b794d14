"""The Label page: people label clips, and a model is trained on their labels."""
