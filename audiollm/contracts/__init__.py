"""What one part of the project writes and another reads: typed once, without torch."""
