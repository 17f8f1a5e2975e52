"""What the pages of jobs say above their content: certificates that expire, and a history that is unavailable."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from job_api.pages.kit.certificates import warn_of_expiry
from job_api.pages.kit.services import PageServices
from job_api.store.certificates import Certificate
from shared.auth import Identity

HISTORY_UNAVAILABLE = (
    "Run history is temporarily unavailable. Jobs can be changed and continue to run; "
    "past runs and their files cannot be shown until it is back."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPageNotices:
    """The active certificates, warnings about them, and what does not work while history is unavailable, if it is."""

    active: Sequence[Certificate]
    warnings: Sequence[str]
    history: str | None


async def load_notices(services: PageServices, identity: Identity) -> JobPageNotices:
    """Return the notices for the tenant of an identity."""
    active, available = await asyncio.gather(
        services.certificates.list_active(identity), services.history.is_available()
    )
    return JobPageNotices(
        active=active,
        warnings=warn_of_expiry(active, services.clock.now()),
        history=None if available else HISTORY_UNAVAILABLE,
    )
