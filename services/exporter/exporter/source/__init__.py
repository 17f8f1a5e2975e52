"""The customer's contact history, read only: snapshots, queries, records. Independent of runs, Kafka and our tables."""
