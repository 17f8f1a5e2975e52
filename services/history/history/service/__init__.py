"""What the API can be asked: one class for runs, artifacts, live changes and retention."""
