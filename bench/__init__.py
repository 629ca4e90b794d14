"""Measurements: each prints a table, as ratios against the straightforward way in the same run."""
