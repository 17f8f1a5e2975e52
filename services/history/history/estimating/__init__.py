"""Estimates of the time remaining: the faust app, the runs in progress that it tracks, and the pure estimator."""
