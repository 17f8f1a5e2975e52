"""Estimates of the time remaining: the faust app, the runs that it follows, and the estimator."""
