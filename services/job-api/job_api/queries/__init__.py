"""The query parameters of each list, as the API and the pages accept them."""

from job_api.queries.audit import AuditQuery
from job_api.queries.certificates import CertificateQuery
from job_api.queries.destinations import DestinationQuery
from job_api.queries.jobs import JobQuery
from job_api.queries.keys import KeyQuery
from job_api.queries.users import UserQuery

__all__ = ["AuditQuery", "CertificateQuery", "DestinationQuery", "JobQuery", "KeyQuery", "UserQuery"]
