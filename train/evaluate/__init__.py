"""What a model is worth on speakers that it was not trained on."""
