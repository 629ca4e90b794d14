"""From checked sound to class probabilities: windows, batches, what an answer is made of."""
