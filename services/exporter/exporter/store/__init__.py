"""The exporter's tables: rows to domain objects and back; nothing is decided here."""
