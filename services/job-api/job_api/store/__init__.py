"""The job API's rows: to domain objects and back, within one tenant's sight; nothing is decided here."""

from job_api.store.change import Actor, Change, Once
from job_api.store.database import EVERYBODY, Database
from job_api.store.jobs import JobView, RunSummary

__all__ = ["EVERYBODY", "Actor", "Change", "Database", "JobView", "Once", "RunSummary"]
