"""What pages of jobs say of the things around them: certificates that end, and a history that is away."""

from datetime import datetime, timedelta

import httpx

from job_api.service import Certificates
from job_api.store.certificates import Certificate
from shared.auth import Identity
from shared.clock import Clock

WARN_FROM = timedelta(days=30)
AWAY = (
    "The history of runs is away just now. Jobs can be changed and go on running; "
    "what runs did and their files cannot be opened until it is back."
)
_PATIENCE, _GOOD_FOR = 0.5, timedelta(seconds=5)


class Surroundings:
    """Asked by every page of jobs, so what is learnt of history is believed for a few seconds."""

    def __init__(self, certificates: Certificates, history: httpx.AsyncClient | None, clock: Clock) -> None:
        self._certificates = certificates
        self._history = history
        self._clock = clock
        self._asked_at: datetime | None = None
        self._missing: str | None = None

    async def missing(self) -> str | None:
        """Return what is away and what that means, or None."""
        now = self._clock.now()
        if self._asked_at is None or not timedelta(0) <= now - self._asked_at < _GOOD_FOR:
            self._missing = None if await self._answers() else AWAY
            self._asked_at = now
        return self._missing

    async def _answers(self) -> bool:
        if self._history is None:
            return False
        try:
            return (await self._history.get("/livez", timeout=_PATIENCE)).is_success
        except httpx.HTTPError:
            return False

    async def warnings(self, who: Identity) -> list[str]:
        """Return what must be done about the certificates, in words (C2)."""
        return warnings_of(await self._certificates.active(who), self._certificates.now())


def warnings_of(active: list[Certificate], now: datetime) -> list[str]:
    """Return a sentence for each certificate that has expired or soon will, the most urgent first."""
    if not active:
        return ["There is no active certificate: exports have nobody to be encrypted for. Upload one."]
    ending = sorted((each for each in active if each.not_after - now < WARN_FROM), key=lambda each: each.not_after)
    return [
        f"The certificate “{each.name}” {ends_in_words(each.not_after, now)}: upload its successor." for each in ending
    ]


def ends_in_words(not_after: datetime, now: datetime) -> str:
    """Return when a certificate expires, as people say it."""
    left = not_after - now
    if left <= timedelta(0):
        return f"expired on {not_after:%Y-%m-%d}"
    if left < timedelta(days=1):
        return "expires within a day"
    return "expires in 1 day" if left.days == 1 else f"expires in {left.days:,} days"
