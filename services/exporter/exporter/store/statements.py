"""The exporter's SQL statements, and the form in which a job's settings are stored."""

from pydantic import TypeAdapter

from shared.events import JobSettings
from shared.queries import load_queries

SQL = load_queries("exporter")
EVENT_SOURCE = "exporter"
"""The `ce_source` of the exporter's events."""
JOB_SETTINGS = TypeAdapter(JobSettings)
