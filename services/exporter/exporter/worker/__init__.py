"""The worker process that exports slices, and the protocol between it and the exporter."""
