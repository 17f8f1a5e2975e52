"""What can be asked of the job API: one method a command, one transaction each."""

from job_api.service.access import Access
from job_api.service.authentication import Recognition
from job_api.service.certificates import Certificates
from job_api.service.estimates import Estimates
from job_api.service.jobs import Jobs
from job_api.service.login import Door, Login
from job_api.service.runs import Runs
from job_api.service.tenants import Tenants
from job_api.service.trail import Trail
from job_api.service.users import Users

__all__ = [
    "Access",
    "Certificates",
    "Door",
    "Estimates",
    "Jobs",
    "Login",
    "Recognition",
    "Runs",
    "Tenants",
    "Trail",
    "Users",
]
