"""People's labels: resolved for training, label errors, the learning curve."""
