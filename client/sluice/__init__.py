"""The sluice command and its client library; needs nothing of the services."""
