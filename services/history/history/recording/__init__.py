"""The run log, built from events: the recorder, the projections and the rebuild."""
