"""Recipients' certificates are checked before any data is read."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization

from exporter.errors import CertificateRefused
from exporter.package.recipients import accept_recipients
from tests.unit.stream.officers import NOW, make_officer, officer


def test_P3_pem_and_der_give_the_same_recipient() -> None:
    der = officer().certificate.public_bytes(serialization.Encoding.DER)
    [recipient] = accept_recipients([der], NOW)
    assert [recipient] == accept_recipients([officer().pem], NOW)
    assert recipient.der == der
    assert recipient.fingerprint == officer().certificate.fingerprint(hashes.SHA256()).hex()


def test_P3_one_certificate_given_twice_is_one_recipient() -> None:
    recipients = accept_recipients([officer("a").pem, officer("b").pem, officer("a").pem], NOW)
    assert recipients == [officer("a").recipient, officer("b").recipient]


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (
            make_officer("old", end=NOW - timedelta(hours=1)).pem,
            "certificate-expired",
            "expired on 2026-11-24 09:00 UTC",
        ),
        (
            make_officer("new", start=NOW + timedelta(hours=1)).pem,
            "certificate-not-yet-valid",
            "before 2026-11-24 11:00 UTC",
        ),
        (make_officer("short", bits=1024).pem, "certificate-key-too-short", "1024 bits; at least 2048"),
        (make_officer("curve", elliptic=True).pem, "certificate-not-rsa", "no RSA key"),
        (officer("a").pem + officer("b").pem, "not-a-certificate", "exactly one certificate"),
        (officer().key_pem(), "not-a-certificate", "contains a private key"),
        (b"-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n", "not-a-certificate", "not an X.509"),
        (b"\x30\x03\x02\x01\x01", "not-a-certificate", "not an X.509"),
        (b"", "not-a-certificate", "is empty. Choose a file"),
    ],
)
def test_P3_an_unusable_certificate_is_refused_with_the_reason(data: bytes, code: str, message: str) -> None:
    with pytest.raises(CertificateRefused, match=message) as refused:
        accept_recipients([officer().pem, data], NOW)
    assert refused.value.code == code
    assert not refused.value.transient
    assert "PRIVATE KEY" not in str(refused.value)


def test_P3_without_a_certificate_the_run_is_refused() -> None:
    with pytest.raises(CertificateRefused) as refused:
        accept_recipients([], NOW)
    assert refused.value.code == "no-certificate"
