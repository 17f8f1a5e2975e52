"""The worker process, which exports slices, and the protocol between it and the exporter."""
