"""History, the details of a run, and artifacts: what history's API knows."""
