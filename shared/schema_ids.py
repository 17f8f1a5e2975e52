"""Where the ids of all JSON Schemas begin."""

SCHEMA_BASE = "https://sluice.example/schemas/"
"""Followed by a file's path in `shared/schemas/`. An identifier, not an address: nothing is served there."""
