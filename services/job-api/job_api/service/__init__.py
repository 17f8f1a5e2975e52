"""The job API's operations: commands take the unit of work that the edge opened and return domain objects."""

from job_api.service.access import AccessService
from job_api.service.audit import AuditService
from job_api.service.authentication import TokenAuthenticator
from job_api.service.certificates import CertificateService
from job_api.service.destinations import DestinationService
from job_api.service.drafts import DraftService
from job_api.service.estimates import SizeEstimator
from job_api.service.jobs import JobService
from job_api.service.login import LoginAttempt, LoginService
from job_api.service.requested_runs import RequestedRunService
from job_api.service.run_events import RunEventHandler
from job_api.service.tenants import TenantService
from job_api.service.users import UserService

__all__ = [
    "AccessService",
    "AuditService",
    "CertificateService",
    "DestinationService",
    "DraftService",
    "JobService",
    "LoginAttempt",
    "LoginService",
    "RequestedRunService",
    "RunEventHandler",
    "SizeEstimator",
    "TenantService",
    "TokenAuthenticator",
    "UserService",
]
