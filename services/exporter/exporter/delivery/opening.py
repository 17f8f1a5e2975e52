"""Opening a destination: its address is checked, its credentials unsealed, only its own hosts are reachable."""

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from exporter.delivery.aws import AwsKeys, RoleProvider
from exporter.delivery.cloud import CloudTarget, to_connection_error
from exporter.delivery.sftp import SftpLogin, SftpTarget
from exporter.delivery.target import Target
from exporter.errors import DeliveryError
from exporter.store.destinations import SealedDestination
from shared.clock import Clock
from shared.errors import InvalidSettings
from shared.events import DestinationAddress
from shared.net.addresses import AddressRefused
from shared.net.egress import Egress, HostUnknown, HostUnreachable
from shared.net.proxy import EgressProxy
from shared.object_names import InvalidTemplate, check_prefix
from shared.objectstore import open_bucket
from shared.sealing import CannotUnseal, CredentialsOwner, Unsealer

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_PATIENCE = timedelta(seconds=10)
_DEFAULT_REGION = "us-east-1"
_SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class TargetOpener:
    """Opens destinations. `ca` is a PEM file of further trusted certificates, `aws` the deliverer's own keys."""

    unsealer: Unsealer
    egress: Egress
    proxy: EgressProxy
    clock: Clock
    ca: Path | None = None
    aws: AwsKeys | None = None
    sts_endpoint: str | None = None

    async def open(self, destination: SealedDestination) -> Target:
        """Return the connected destination. Raises DeliveryError."""
        owner = CredentialsOwner(destination.tenant_id, destination.destination_id)
        try:
            credentials = self.unsealer.open(destination.credentials, owner)
            check_prefix(destination.address.prefix)
            if destination.kind == "sftp":
                return await SftpTarget.open(to_sftp_login(destination.address, credentials), self.egress)
            return self._open_cloud(destination, credentials)
        except CannotUnseal as error:
            raise DeliveryError(
                "credentials-unreadable", f"Enter the destination's credentials again: {error}."
            ) from None
        except InvalidTemplate as error:
            raise DeliveryError("destination-configuration", f"The destination's prefix {error}.") from None
        except InvalidSettings as error:
            raise DeliveryError("destination-configuration", f"The destination cannot be opened: {error}.") from None
        except (AddressRefused, HostUnknown, HostUnreachable) as fault:
            raise to_connection_error(fault) from None

    def list_hosts(self, destination: SealedDestination) -> list[tuple[str, int]]:
        """Return the hosts and ports of a destination, the first of which stores the files. Raises DeliveryError."""
        address = destination.address
        if destination.kind == "sftp":
            return [_require_host(address)]
        own = _parse_endpoint(self._get_endpoint(destination))
        others = {"gcs": ["oauth2.googleapis.com"], "azure": ["login.microsoftonline.com"]}.get(destination.kind, [])
        return [own, *((host, 443) for host in others)]

    def _open_cloud(self, destination: SealedDestination, credentials: Mapping[str, str]) -> Target:
        address = destination.address
        if address.bucket is None or not _BUCKET.fullmatch(address.bucket):
            raise DeliveryError("destination-configuration", "The name of the bucket or container is not valid.")
        config, provider = self._configure(destination, credentials)
        ticket = self.proxy.issue_ticket(self.list_hosts(destination))
        connection = {"proxy_url": ticket.url}
        if self.ca is not None:
            connection["root_certificate"] = self.ca.read_text(encoding="utf-8")
        assert destination.kind != "sftp"
        backend = open_bucket(
            destination.kind,
            address.bucket,
            address.prefix.strip("/"),
            config=config,
            connection=connection,
            credentials=provider,
            patience=_PATIENCE,
        )
        return CloudTarget(backend, self.proxy, ticket, find_fault=lambda: provider.fault if provider else None)

    def _get_endpoint(self, destination: SealedDestination) -> str:
        address = destination.address
        if address.endpoint is not None:
            return address.endpoint
        match destination.kind:
            case "s3":
                region = _require_region(address)
                return f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
            case "gcs":
                return "https://storage.googleapis.com"
            case _:
                if address.account is None or not _ACCOUNT.fullmatch(address.account):
                    raise DeliveryError("destination-configuration", "The name of the storage account is not valid.")
                return f"https://{address.account}.blob.core.windows.net"

    def _configure(
        self, destination: SealedDestination, credentials: Mapping[str, str]
    ) -> tuple[dict[str, str], RoleProvider | None]:
        """Return the library's configuration, and what provides keys that change."""
        address = destination.address
        match destination.kind:
            case "s3":
                return self._configure_s3(destination, credentials)
            case "gcs":
                key = _check_service_account(credentials.get("service_account_key", ""))
                base = {} if address.endpoint is None else {"base_url": address.endpoint}
                return base | {"service_account_key": key}, None
            case _:
                names = {"directory_id": "authority_id"}
                config = {names.get(name, name): value for name, value in credentials.items()}
                endpoint = {} if address.endpoint is None else {"endpoint": address.endpoint}
                return {"account_name": address.account or ""} | endpoint | config, None

    def _configure_s3(
        self, destination: SealedDestination, credentials: Mapping[str, str]
    ) -> tuple[dict[str, str], RoleProvider | None]:
        address = destination.address
        region = _require_region(address)
        config = {
            "region": region,
            "endpoint": self._get_endpoint(destination),
            "virtual_hosted_style_request": "true" if address.virtual_host else "false",
            "checksum_algorithm": "SHA256",
        }
        if address.encryption is not None:
            config["server_side_encryption"] = address.encryption
        if address.kms_key is not None:
            config["sse_kms_key_id"] = address.kms_key
        if address.role_arn is None:
            return config | _require_keys(credentials), None
        own = AwsKeys(**_require_keys(credentials)) if credentials else self.aws
        if own is None:
            raise DeliveryError(
                "destination-configuration",
                "The role cannot be assumed: neither the destination nor this installation has AWS keys "
                "(SLUICE_DELIVERY_AWS_ACCESS_KEY_ID).",
            )
        tls = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        return config, RoleProvider(
            role_arn=address.role_arn,
            external_id=address.external_id,
            region=region,
            endpoint=self.sts_endpoint or f"https://sts.{region}.amazonaws.com/",
            keys=own,
            proxy=self.proxy,
            tls=tls,
            clock=self.clock,
        )


def to_sftp_login(address: DestinationAddress, credentials: Mapping[str, str]) -> SftpLogin:
    """Return how to log in to an SFTP server. Raises DeliveryError when something is missing."""
    host, port = _require_host(address)
    if address.user_name is None:
        raise DeliveryError("destination-configuration", "The user name is missing.")
    if address.host_key is None:
        raise DeliveryError(
            "destination-host-key",
            "The server's key is not confirmed: test the destination and confirm the fingerprint.",
        )
    return SftpLogin(
        host=host,
        port=port,
        user_name=address.user_name,
        host_key=address.host_key,
        path=address.path or "",
        password=credentials.get("password"),
        private_key=credentials.get("private_key"),
        passphrase=credentials.get("passphrase"),
    )


def _require_host(address: DestinationAddress) -> tuple[str, int]:
    if not address.host:
        raise DeliveryError("destination-configuration", "The server's name is missing.")
    return address.host, address.port or _SSH_PORT


def _require_region(address: DestinationAddress) -> str:
    region = address.region or _DEFAULT_REGION
    if not _REGION.fullmatch(region):
        raise DeliveryError("destination-configuration", "The region is not valid, as in eu-central-1.")
    return region


def _require_keys(credentials: Mapping[str, str]) -> dict[str, str]:
    names = ("access_key_id", "secret_access_key")
    if set(credentials) != set(names):
        raise DeliveryError("destination-configuration", "Access key and secret key are required.")
    return {name: credentials[name] for name in names}


def _parse_endpoint(endpoint: str) -> tuple[str, int]:
    """Return host and port of an https URL. Raises DeliveryError for anything else."""
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        host, port, parts = None, 443, urlsplit("")
    if not host or parts.scheme != "https" or parts.username is not None or parts.query or parts.fragment:
        raise DeliveryError("destination-configuration", "The endpoint must be an https URL, as in https://host:9000.")
    return host, port


def _check_service_account(text: str) -> str:
    """Return a service account's key. Raises DeliveryError for another kind of key, which would make the library ask
    the machine for its own identity."""
    try:
        key = json.loads(text)
    except ValueError:
        key = None
    if not isinstance(key, dict) or key.get("type") != "service_account" or not key.get("private_key"):
        raise DeliveryError(
            "destination-configuration", "The key of a service account is required, as one JSON object."
        )
    return text
