"""The certificate rule, and that every part of Sluice that applies it decides alike."""

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from exporter.errors import CertificateRefused
from exporter.package.recipients import accept_recipients
from job_api.domain import TenantCertificate
from shared.certificates import MAX_BYTES, CertificateRejected, accept_certificate
from tests.unit.stream.officers import Officer, make_officer, officer

NOT_BEFORE = datetime(2026, 11, 24, 10, tzinfo=UTC)
NOT_AFTER = NOT_BEFORE + timedelta(days=365)
INSTANT = timedelta(microseconds=1)
INSIDE = NOT_BEFORE + timedelta(days=1)


@cache
def valid_for_a_year() -> Officer:
    return make_officer("year", start=NOT_BEFORE, end=NOT_AFTER)


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (NOT_BEFORE - INSTANT, "certificate-not-yet-valid"),
        (NOT_BEFORE, None),
        (NOT_AFTER - INSTANT, None),
        (NOT_AFTER, None),
        (NOT_AFTER + INSTANT, "certificate-expired"),
    ],
)
def test_C1_P3_upload_job_and_run_agree_at_the_edges_of_validity(at: datetime, code: str | None) -> None:
    pem = valid_for_a_year().pem
    draft = TenantCertificate(name="year", active=True, not_before=NOT_BEFORE, not_after=NOT_AFTER)
    if code is None:
        accepted = accept_certificate(pem, at=at)
        assert accept_recipients([pem], at) == [accepted]
        assert (accepted.not_before, accepted.not_after) == (NOT_BEFORE, NOT_AFTER)
        assert draft.find_fault(at) is None
        return
    with pytest.raises(CertificateRejected) as upload:
        accept_certificate(pem, at=at)
    with pytest.raises(CertificateRefused) as run:
        accept_recipients([pem], at)
    assert (upload.value.code, run.value.code) == (code, code)
    assert draft.find_fault(at) == f"the certificate 'year' {upload.value}"


def der() -> bytes:
    return valid_for_a_year().certificate.public_bytes(serialization.Encoding.DER)


def rejected_inputs() -> dict[str, tuple[bytes, str]]:
    pem, other = valid_for_a_year().pem, officer("other").pem
    key, locked = valid_for_a_year().key_pem(), valid_for_a_year().key_pem(b"passphrase")
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    public = elliptic.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    key_der = valid_for_a_year().key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "two certificates": (pem + other, "contains 2 PEM blocks, and exactly one certificate is required"),
        "the same certificate twice": (pem + pem, "contains 2 PEM blocks"),
        "another block after it": (pem + public, "contains 2 PEM blocks"),
        "another block before it": (public + pem, "contains 2 PEM blocks"),
        "a second block without an end": (pem + b"-----BEGIN CERTIFICATE-----\nAAAA", "contains 2 PEM blocks"),
        "two certificates in DER": (der() + der(), "is not an X.509 certificate"),
        "a private key": (key, "contains a private key"),
        "a private key beside it": (pem + key, "contains a private key"),
        "an encrypted private key beside it": (pem + locked, "contains a private key"),
        "the beginning of a private key": (pem + b"-----BEGIN RSA PRIVATE KEY", "contains a private key"),
        "a private key in DER": (key_der, "contains a private key"),
        "a public key": (public, "is a PEM block 'PUBLIC KEY'"),
        "too large": (pem + b"\n" * MAX_BYTES, "is larger than 64 KiB"),
        "nothing": (b"", "is empty. Choose a file"),
    }


@pytest.mark.parametrize("case", rejected_inputs())
def test_C1_P3_upload_and_run_agree_that_it_is_one_certificate_alone(case: str) -> None:
    content, message = rejected_inputs()[case]
    with pytest.raises(CertificateRejected, match=message) as upload:
        accept_certificate(content, at=INSIDE)
    with pytest.raises(CertificateRefused, match=message) as run:
        accept_recipients([content], INSIDE)
    assert (upload.value.code, run.value.code) == ("not-a-certificate", "not-a-certificate")
    assert "MII" not in f"{upload.value} {run.value}", "the input is not quoted"


def test_C1_text_around_the_one_block_is_dropped() -> None:
    text = b"subject=CN = year\n" + valid_for_a_year().pem + b"\nissued for tests\n"
    accepted = accept_certificate(text, at=INSIDE)
    assert accepted == accept_certificate(der(), at=INSIDE)
    assert accepted.pem == valid_for_a_year().pem.decode()
    assert accepted.fingerprint == valid_for_a_year().certificate.fingerprint(hashes.SHA256()).hex()
    assert x509.load_der_x509_certificate(accepted.der) == valid_for_a_year().certificate


def test_P3_the_reason_names_the_certificate_by_its_fingerprint() -> None:
    fingerprint = valid_for_a_year().certificate.fingerprint(hashes.SHA256()).hex()
    with pytest.raises(CertificateRefused) as run:
        accept_recipients([valid_for_a_year().pem], NOT_AFTER + timedelta(seconds=1))
    assert str(run.value) == (
        f"The certificate with SHA-256 fingerprint {fingerprint[:16]}... expired on 2027-11-24 10:00 UTC."
    )
