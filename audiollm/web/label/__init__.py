"""The Label page: people say what they hear, and a model learns from it."""
