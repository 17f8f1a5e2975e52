"""The run log, built from events: the recorder, the projection and the rebuild."""
