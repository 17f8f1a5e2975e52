"""The scheduler's settings."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """`SLUICE_SCHEDULER_*`."""

    service: ClassVar[str] = "SCHEDULER"

    missed_after: timedelta = Field(
        timedelta(seconds=60),
        gt=timedelta(0),
        description="a slot decided later than this counts as missed, and the job's catch_up says what becomes of it",
    )
    batch: int = Field(1000, ge=1, le=10_000, description="jobs decided in one transaction at most")
    ledger_kept: timedelta = Field(
        timedelta(days=400), ge=timedelta(days=2), description="how long the ledger remembers decided slots"
    )
    audit_every: timedelta = Field(
        timedelta(minutes=1), gt=timedelta(0), description="rest between the auditor's rounds over all jobs"
    )
