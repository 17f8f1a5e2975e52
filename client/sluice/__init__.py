"""The `sluice` command and its client library; independent of the services."""
