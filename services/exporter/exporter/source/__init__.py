"""The customer's contact history, read only: snapshots, queries, records. Knows no run, no Kafka and no table."""
