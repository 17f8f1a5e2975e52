"""What can be asked of the job API: one method a command, one transaction each."""

from job_api.service.access import Access, Login
from job_api.service.certificates import Certificates
from job_api.service.estimates import Estimates
from job_api.service.jobs import Jobs
from job_api.service.runs import Runs

__all__ = ["Access", "Certificates", "Estimates", "Jobs", "Login", "Runs"]
