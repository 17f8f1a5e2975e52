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
        description="a slot decided later than this counts as missed, and the job's catch_up decides whether it runs",
    )
    batch: int = Field(1000, ge=1, le=10_000, description="maximum number of jobs decided in one transaction")
    ledger_kept: timedelta = Field(
        timedelta(days=400), ge=timedelta(days=2), description="how long the ledger keeps decided slots"
    )
    audit_every: timedelta = Field(
        timedelta(minutes=1), gt=timedelta(0), description="pause between two audits of all jobs"
    )
