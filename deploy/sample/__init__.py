"""A sample contact history: generated from a seed, loaded into PostgreSQL for demonstrations and tests."""
