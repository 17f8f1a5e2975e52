"""What the services share: events, topics, Kafka, PostgreSQL, settings, life cycle."""
