"""The job API's settings."""

from typing import ClassVar

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """`SLUICE_JOB_API_*`."""

    service: ClassVar[str] = "JOB_API"

    source: str | None = Field(
        None, pattern=r"^postgres(ql)?://", description="DSN of the source, to estimate exports from its statistics"
    )
    history_url: str | None = Field(
        None, description="base URL of the history API, to which runs, artifacts and events are passed on"
    )
    history_ca_file: str | None = Field(
        None, description="PEM file of whom to trust for an https history URL; default: public authorities"
    )
