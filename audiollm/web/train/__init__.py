"""The Train page: recordings, a plan, jobs, and a new model behind Analyse."""
