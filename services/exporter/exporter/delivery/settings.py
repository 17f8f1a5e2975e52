"""The deliverer's settings."""

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, Json, model_validator

from exporter.delivery.aws import AwsKeys
from shared.net.addresses import AddressRules
from shared.sealing import Unsealer
from shared.settings import ServiceSettings


def _get_default_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class Settings(ServiceSettings):
    """`SLUICE_DELIVERY_*`; `postgres` is a DSN with the exporter's role."""

    service: ClassVar[str] = "DELIVERY"

    store: str = Field(
        description="object store of the files, as the exporters' STORE; read access is enough", min_length=1
    )
    store_options: Json[dict[str, str]] = Field(
        default_factory=dict,
        repr=False,
        description="that store's credentials, region, endpoint and the like, as one JSON object",
    )
    private_keys: str = Field(
        repr=False,
        min_length=1,
        description="the private keys that open destinations' credentials, separated by commas: the newest, whose "
        "public key job-api seals to, and those that it replaced",
    )
    allowed_networks: str = Field(
        "",
        description="networks beside the public internet that destinations may be in, separated by commas, as in "
        "10.1.0.0/16",
    )
    ca_file: Path | None = Field(
        None,
        description="PEM file of further CA certificates that destinations' servers may have, beside the public ones",
    )
    aws_access_key_id: str | None = Field(
        None, description="AWS access key with which roles are assumed for destinations that have no keys of their own"
    )
    aws_secret_access_key: str | None = Field(None, repr=False, description="that access key's secret")
    sts_endpoint: str | None = Field(
        None,
        pattern=r"^https://",
        description="https URL of the Security Token Service; default: that of the destination's region at AWS",
    )
    name: str = Field(default_factory=_get_default_name, description="this deliverer's name in events", max_length=200)
    places: int = Field(8, ge=1, le=64, description="how many deliveries this process works on at once")
    destination_limit: int = Field(
        2, ge=1, le=64, description="how many deliveries to one destination all deliverers together work on at once"
    )
    tenant_limit: int = Field(
        4, ge=1, le=64, description="how many deliveries of one tenant all deliverers together work on at once"
    )
    bandwidth: int | None = Field(
        None, ge=64 * 1024, description="bytes a second that this process sends at most; default: no limit"
    )
    lease: timedelta = Field(
        timedelta(seconds=15),
        ge=timedelta(seconds=3),
        description="a delivery is taken over this long after its deliverer last renewed its lease",
    )
    drain: timedelta = Field(
        timedelta(seconds=10),
        ge=timedelta(0),
        description="how long deliveries may take to finish at a stop before they are handed back",
    )

    @property
    def rules(self) -> AddressRules:
        """Which addresses destinations may have. Raises InvalidSettings."""
        return AddressRules.parse(self.allowed_networks.split(","))

    @property
    def unsealer(self) -> Unsealer:
        """What opens destinations' credentials. Raises InvalidSettings."""
        return Unsealer(each for each in self.private_keys.split(",") if each.strip())

    @property
    def aws(self) -> AwsKeys | None:
        """The keys with which roles are assumed; None without them."""
        if self.aws_access_key_id is None or self.aws_secret_access_key is None:
            return None
        return AwsKeys(self.aws_access_key_id, self.aws_secret_access_key)

    @model_validator(mode="after")
    def _delivery_settings_agree(self) -> Self:
        if (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            raise ValueError("set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither")
        if self.ca_file is not None and not self.ca_file.is_file():
            raise ValueError("CA_FILE is not a file that can be read")
        return self
