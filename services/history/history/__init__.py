"""History: the run log, the time remaining, and the files."""
