"""What a new tenant does first: make a certificate, upload it, add a job, open the file; shown until it is done."""

from collections.abc import Sequence
from dataclasses import dataclass

from job_api.pages.kit.commands import PrintedCommand, certificate_commands
from job_api.pages.kit.services import PageServices
from job_api.store import JobView
from shared.auth import Identity

_MAX_JOBS = 5
"""A tenant with more jobs than this is not new, whether or not its users fetch files themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSteps:
    """Which steps are done, and the commands of the first."""

    has_certificate: bool
    has_job: bool
    has_download: bool
    commands: Sequence[PrintedCommand]


async def load_first_steps(services: PageServices, identity: Identity, jobs: Sequence[JobView]) -> ShownSteps | None:
    """Return the steps of a tenant with these jobs, or None when all are done. Raises PostgresUnavailable."""
    if len(jobs) > _MAX_JOBS:
        return None
    taken = await services.tenants.find_first_steps(identity)
    if taken.has_certificate and taken.has_download and jobs:
        return None
    return ShownSteps(
        has_certificate=taken.has_certificate,
        has_job=bool(jobs),
        has_download=taken.has_download,
        commands=certificate_commands(),
    )
