"""The job API's tables: rows to domain objects and back, within one tenant's scope; no rule is decided here."""

from job_api.store.database import ALL_TENANTS, Database
from job_api.store.jobs import JobView, RunEstimate, RunSummary
from job_api.store.unit_of_work import Actor, UnitOfWork, UnitOfWorkFactory

__all__ = [
    "ALL_TENANTS",
    "Actor",
    "Database",
    "JobView",
    "RunEstimate",
    "RunSummary",
    "UnitOfWork",
    "UnitOfWorkFactory",
]
