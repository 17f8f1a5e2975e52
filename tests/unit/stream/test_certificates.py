"""Recipients' certificates are checked before any data is read."""

import subprocess
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization

from exporter.errors import CertificateRefused
from exporter.package.cms import EnvelopeEncoder
from exporter.package.recipients import accept_recipients
from shared.certificate_keys import describe_key
from tests.unit.stream.officers import NOW, make_officer, officer, openssl_decrypt


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
        (make_officer("curve", curve="other").pem, "certificate-key-unusable", "curve secp256k1; P-256"),
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


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
def test_C1_a_certificate_with_an_ec_key_is_accepted(curve: str) -> None:
    [recipient] = accept_recipients([officer(curve).pem], NOW)
    assert describe_key(recipient.key_type, recipient.public_key.key_size) == f"EC {curve}"


@pytest.mark.parametrize("other", ["Authority 1", "authority  1"])
def test_P3_two_certificates_that_programs_cannot_tell_apart_are_refused(tmp_path: Path, other: str) -> None:
    twins = [make_officer(name, serial=7) for name in ("Authority 1", other)]
    with pytest.raises(CertificateRefused, match="issuer and serial number") as refused:
        accept_recipients([each.pem for each in twins], NOW, are_default=True)
    assert refused.value.code == "certificates-indistinguishable"
    assert not refused.value.transient
    assert "retire this one" in str(refused.value)
    for each in twins:
        assert each.recipient.fingerprint[:16] in str(refused.value)
    # The fact on which this rests: openssl would open the file for the first owner only.
    encoder = EnvelopeEncoder([each.recipient for each in twins])
    artifact = tmp_path / "file.p7m"
    artifact.write_bytes(encoder.start() + encoder.update(b"content") + encoder.finish())
    for command in ("cms", "smime"):
        opened = 0
        for each in twins:
            with suppress(subprocess.CalledProcessError):
                opened += openssl_decrypt(artifact, each, command=command) == b"content"
        assert opened == 1


def test_P3_certificates_of_one_issuer_or_one_serial_number_are_accepted_together() -> None:
    apart = [make_officer("A", serial=7), make_officer("B", serial=7), make_officer("A", serial=8)]
    assert len(accept_recipients([each.pem for each in apart], NOW)) == len(apart)
