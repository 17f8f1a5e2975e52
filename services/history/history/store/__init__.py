"""History's tables: rows to what the services speak of and back, nothing decided here."""

from shared.queries import load_queries

SQL = load_queries("history")
SOURCE = "history"
