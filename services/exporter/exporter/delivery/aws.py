"""Assuming a role at AWS: short-lived keys for a customer's bucket, with the tenant's external id (rule D1)."""

import hashlib
import hmac
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

from exporter.delivery.cloud import to_connection_error
from exporter.errors import DeliveryError
from shared.clock import Clock
from shared.net.addresses import AddressRefused
from shared.net.egress import HostUnknown, HostUnreachable
from shared.net.http import RequestFailed, post
from shared.net.proxy import EgressProxy, HostNotListed

_SESSION_SECONDS = 3600
_TAGS = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """Long-lived or temporary keys."""

    access_key_id: str
    secret_access_key: str
    token: str | None = None


@dataclass(kw_only=True)
class RoleProvider:
    """Assumes a role whenever its library asks for keys, which it does before the last ones expire.

    `endpoint` is the https URL of the Security Token Service, `keys` those with which the role is assumed; `fault` is
    why the last request failed.
    """

    role_arn: str
    external_id: str | None
    region: str
    endpoint: str
    keys: AwsKeys
    proxy: EgressProxy
    tls: ssl.SSLContext
    clock: Clock
    fault: DeliveryError | None = None

    async def __call__(self) -> dict[str, object]:
        """Return temporary keys in the library's form. Raises DeliveryError, and notes it as `fault`."""
        self.fault = None
        try:
            return await self._assume()
        except DeliveryError as error:
            self.fault = error
            raise

    async def _assume(self) -> dict[str, object]:
        fields = {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": self.role_arn,
            "RoleSessionName": "sluice-delivery",
            "DurationSeconds": str(_SESSION_SECONDS),
        }
        if self.external_id is not None:
            fields["ExternalId"] = self.external_id
        content = urlencode(fields, quote_via=quote).encode("ascii")
        headers = sign(self.endpoint, content, self.keys, region=self.region, at=self.clock.now())
        try:
            answer = await post(self.proxy, self.endpoint, headers=headers, content=content, tls=self.tls)
        except (AddressRefused, HostUnknown, HostUnreachable, HostNotListed) as fault:
            raise to_connection_error(fault) from None
        except RequestFailed as error:
            raise DeliveryError("destination-unavailable", f"The role cannot be assumed: {error}.") from None
        text = answer.body.decode("utf-8", "replace")
        found = {tag: match[1] for tag in _TAGS if (match := re.search(rf"<{tag}>([^<]{{0,4096}})</{tag}>", text))}
        if answer.status != 200 or len(found) != len(_TAGS):
            code = re.search(r"<Code>([A-Za-z]{1,60})</Code>", text)
            raise DeliveryError(
                "destination-login-refused",
                f"The role cannot be assumed ({code[1] if code else f'HTTP {answer.status}'}). Check the role's trust "
                "policy: it must name Sluice's account and the external id.",
            )
        return {
            "access_key_id": found["AccessKeyId"],
            "secret_access_key": found["SecretAccessKey"],
            "token": found["SessionToken"] or None,
            "expires_at": datetime.fromisoformat(found["Expiration"]).astimezone(UTC),
        }


def sign(url: str, content: bytes, keys: AwsKeys, *, region: str, at: datetime) -> Mapping[str, str]:
    """Return the headers of a signed POST request to the Security Token Service (AWS Signature Version 4)."""
    parts = urlsplit(url)
    day, instant = f"{at:%Y%m%d}", f"{at:%Y%m%dT%H%M%SZ}"
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": parts.netloc,
        "x-amz-date": instant,
    }
    if keys.token is not None:
        headers["x-amz-security-token"] = keys.token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = "\n".join(("POST", parts.path or "/", "", lines, names, hashlib.sha256(content).hexdigest()))
    scope = f"{day}/{region}/sts/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{instant}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{keys.secret_access_key}".encode()
    for each in (day, region, "sts", "aws4_request", to_sign):
        key = hmac.digest(key, each.encode(), "sha256")
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key_id}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return headers | {"authorization": authorization}
