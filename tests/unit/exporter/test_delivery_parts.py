"""The parts of a delivery that need no server of a customer: checksums, signatures, roles, limits (rules D1, D5)."""

import hashlib
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.delivery.aws import AwsKeys, RoleProvider, sign
from exporter.delivery.cloud import get_part_size
from exporter.delivery.digests import PartDigest
from exporter.delivery.limiter import BandwidthLimiter
from exporter.errors import DeliveryError
from shared.clock import SystemClock
from shared.net.addresses import AddressRules
from shared.net.egress import Egress
from shared.net.proxy import EgressProxy
from tests.support.authority import Authority
from tests.support.sts import TokenService, run_token_service

KEYS = AwsKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
AT = datetime(2026, 11, 24, 10, tzinfo=UTC)


@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(1, 16))
def test_D5_the_expected_tag_is_the_one_that_S3_derives_from_the_parts(chunks: list[bytes], part_size: int) -> None:
    content = b"".join(chunks)
    digest = PartDigest(part_size)
    for chunk in chunks:
        digest.update(chunk)
    parts = [content[at : at + part_size] for at in range(0, len(content), part_size)] or [b""]
    joined = b"".join(hashlib.md5(part).digest() for part in parts)
    expected = {f"{hashlib.md5(joined).hexdigest()}-{len(parts)}"}
    if len(parts) == 1:
        expected.add(hashlib.md5(content).hexdigest())
    assert digest.get_tags() == expected
    assert (digest.sha256, digest.size) == (hashlib.sha256(content).hexdigest(), len(content))
    with pytest.raises(DeliveryError, match="damaged or incomplete"):
        digest.check("0" * 64, len(content))


@given(st.integers(0, 5 * 1024**4))
def test_D5_an_object_of_any_size_has_at_most_10_000_parts(size: int) -> None:
    assert -(-size // get_part_size(size)) <= 10_000


@pytest.mark.parametrize(
    ("token", "signature"),
    [
        (None, "1b1e79595f6689db2fa7212d6c15d79a52876dc61e7d35a608db8dd46d9e42c6"),
        ("session-token", "9440bff71a1c22356db4b3e2b10d36aa675ecec48eaecdf65fc4e1bcc443090e"),
    ],
)
def test_D1_requests_for_a_role_are_signed_as_the_provider_s_own_library_signs_them(
    token: str | None, signature: str
) -> None:
    keys = AwsKeys(KEYS.access_key_id, KEYS.secret_access_key, token)
    content = b"Action=AssumeRole&Version=2011-06-15"
    headers = sign("https://sts.eu-central-1.amazonaws.com/", content, keys, region="eu-central-1", at=AT)
    assert headers["authorization"].endswith(f"Signature={signature}")


async def test_D1_a_role_is_assumed_with_the_external_id_and_a_refusal_says_what_to_check(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = AwsKeys("temporary", "secret", "token")
    service = TokenService(KEYS, "arn:aws:iam::1:role/sluice", "sluice-1", issued)
    egress = Egress(AddressRules.parse(["127.0.0.1/32"]))
    async with EgressProxy.open(egress) as proxy:
        with run_token_service(service, authority.sign("sts", "127.0.0.1")):

            def provide(external_id: str, keys: AwsKeys = KEYS) -> RoleProvider:
                return RoleProvider(
                    role_arn=service.role_arn,
                    external_id=external_id,
                    region=service.region,
                    endpoint=service.url,
                    keys=keys,
                    proxy=proxy,
                    tls=ssl.create_default_context(cafile=str(authority.ca)),
                    clock=SystemClock(),
                )

            found = await provide("sluice-1")()
            assert (found["access_key_id"], found["secret_access_key"], found["token"]) == (
                "temporary",
                "secret",
                "token",
            )
            assert isinstance(found["expires_at"], datetime)
            for refused in (provide("another tenant's"), provide("sluice-1", AwsKeys("AKIDEXAMPLE", "wrong"))):
                with pytest.raises(DeliveryError, match="external id") as error:
                    await refused()
                assert refused.fault is error.value
                assert error.value.code == "destination-login-refused"
                assert "secret words" not in str(error.value)
        proxy.egress = Egress(AddressRules())
        with pytest.raises(DeliveryError) as error:
            await provide("sluice-1")()
        assert error.value.code == "destination-address-refused"


class SteppingClock:
    """A clock that is advanced by waiting."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return AT

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


async def test_D8_bytes_are_spread_over_time_by_the_bandwidth_limit() -> None:
    clock = SteppingClock()
    limiter = BandwidthLimiter(1000, clock=clock, monotonic=lambda: clock.seconds)
    for _ in range(10):
        await limiter.take(500)
    assert clock.seconds == pytest.approx(4.5)
    unlimited = BandwidthLimiter(None, clock=clock, monotonic=lambda: clock.seconds)
    await unlimited.take(10**12)
    assert clock.seconds == pytest.approx(4.5)
