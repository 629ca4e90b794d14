"""Training jobs: queue, runner process, progress, estimates, GPU memory. No torch here."""
