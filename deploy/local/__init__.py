"""The local stack: Sluice on one machine, from Python packages alone (Kafka, PostgreSQL, a folder as store)."""
