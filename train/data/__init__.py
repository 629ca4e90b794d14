"""From a corpus to a prepared folder: split, measured cues, features of the encoder."""
