"""The operations of the API: one class each for runs, artifacts, downloads, links, live updates and retention."""
