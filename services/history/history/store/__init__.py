"""History's tables: rows to what the services speak of and back, nothing decided here."""

from shared.postgres import queries

SQL = queries("history")
SOURCE = "history"
