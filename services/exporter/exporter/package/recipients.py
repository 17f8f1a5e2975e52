"""Recipients' certificates: what is accepted before any data is read (rules P3 and C1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from exporter.errors import CertificateRefused

MIN_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who can open the files: an accepted certificate and its RSA key."""

    der: bytes
    public_key: RSAPublicKey
    fingerprint: str


def accept_recipients(certificates: Sequence[bytes], at: datetime) -> list[Recipient]:
    """Return one recipient for each certificate (PEM or DER) that is usable at `at`.

    Raises CertificateRefused when there is none, or for the first that cannot be used. The same certificate twice
    counts once.
    """
    if not certificates:
        raise CertificateRefused(
            "No certificate: there is nobody to encrypt for. Give the job or the tenant an active certificate.",
            code="no-certificate",
        )
    recipients = (accept_recipient(data, at) for data in certificates)
    return list({recipient.fingerprint: recipient for recipient in recipients}.values())


def accept_recipient(data: bytes, at: datetime) -> Recipient:
    """Return the recipient of one certificate (PEM or DER), checked at the aware instant `at`.

    Raises CertificateRefused if it is not one X.509 certificate, its key is not RSA of at least 2,048 bits, or `at` is
    outside its validity.
    """
    certificate = _load(data)
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    label = f"The certificate with SHA-256 fingerprint {fingerprint[:16]}..."
    if at < certificate.not_valid_before_utc:
        words = f"{label} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC."
        raise CertificateRefused(words, code="certificate-not-yet-valid")
    if at > certificate.not_valid_after_utc:
        words = f"{label} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC."
        raise CertificateRefused(words, code="certificate-expired")
    key = _rsa_key(certificate, label)
    return Recipient(certificate.public_bytes(serialization.Encoding.DER), key, fingerprint)


def _load(data: bytes) -> x509.Certificate:
    try:
        if b"-----BEGIN" not in data:
            return x509.load_der_x509_certificate(data)
        certificates = x509.load_pem_x509_certificates(data)
    except (ValueError, TypeError):
        # The parser's own words may quote the input, so they go no further.
        raise CertificateRefused("This is not an X.509 certificate in PEM or DER.", code="not-a-certificate") from None
    if len(certificates) != 1:
        words = f"Exactly one certificate is needed, {len(certificates)} were given."
        raise CertificateRefused(words, code="not-a-certificate")
    return certificates[0]


def _rsa_key(certificate: x509.Certificate, label: str) -> RSAPublicKey:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateRefused(f"{label} has a key that cannot be read.", code="certificate-not-rsa") from None
    if not isinstance(key, RSAPublicKey):
        raise CertificateRefused(f"{label} has no RSA key.", code="certificate-not-rsa")
    if key.key_size < MIN_RSA_BITS:
        words = f"{label} has an RSA key of {key.key_size} bits; at least {MIN_RSA_BITS} are needed."
        raise CertificateRefused(words, code="certificate-key-too-short")
    return key
