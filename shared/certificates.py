"""The certificate rule (rules C1 and P3): which certificates files are encrypted for.

job-api applies it to uploads and the exporter applies it again before each run, so a certificate that the one accepts
the other accepts as well, at the same instant.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from shared.errors import SluiceError
from shared.validity import find_validity_fault

MAX_BYTES: Final = 64 * 1024
MIN_RSA_BITS: Final = 2048
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
_PEM_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")

CertificateFault = Literal[
    "not-a-certificate",
    "certificate-not-yet-valid",
    "certificate-expired",
    "certificate-not-rsa",
    "certificate-key-too-short",
]


class CertificateRejected(SluiceError):
    """A certificate breaks the rule.

    The message completes a sentence that begins with the certificate ("expired on ...") and never quotes the input.
    `fingerprint` is None for an input that is not one certificate.
    """

    def __init__(self, message: str, *, code: CertificateFault, fingerprint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.fingerprint = fingerprint


@dataclass(frozen=True, slots=True)
class RecipientCertificate:
    """A certificate that passed the rule; `fingerprint` is the SHA-256 of `der` in hex."""

    der: bytes
    public_key: RSAPublicKey
    fingerprint: str
    subject: str
    not_before: datetime
    not_after: datetime

    @property
    def pem(self) -> str:
        """The certificate in PEM, without any text around it."""
        certificate = x509.load_der_x509_certificate(self.der)
        return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def accept_certificate(content: bytes, *, at: datetime) -> RecipientCertificate:
    """Return the one certificate in `content` (PEM or DER) if files may be encrypted for it at the aware instant `at`.

    It must be X.509, valid at `at`, with an RSA key of 2,048 bits or more, and alone: no second PEM block, no private
    key. Raises CertificateRejected.
    """
    certificate = _load(content)
    try:
        subject = certificate.subject.rfc4514_string()
    except ValueError:
        raise _not_a_certificate() from None
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if (fault := find_validity_fault(not_before, not_after, at)) is not None:
        raise CertificateRejected(fault.message, code=fault.code, fingerprint=fingerprint)
    key = _rsa_key(certificate, fingerprint)
    der = certificate.public_bytes(serialization.Encoding.DER)
    return RecipientCertificate(der, key, fingerprint, subject, not_before, not_after)


def _load(content: bytes) -> x509.Certificate:
    if len(content) > MAX_BYTES:
        raise CertificateRejected(f"is larger than {MAX_BYTES // 1024} KiB", code="not-a-certificate")
    if _PRIVATE_KEY.search(content) or _is_private_key_der(content):
        raise CertificateRejected(
            "contains a private key, which must stay with its owner. Nothing was stored. Upload the certificate alone; "
            "if others may have seen the key on its way here, create a new key pair",
            code="not-a-certificate",
        )
    labels = [label.decode("ascii") for label in _PEM_LABEL.findall(content)]
    if len(labels) > 1:
        message = f"contains {len(labels)} PEM blocks, and exactly one certificate is required"
        raise CertificateRejected(message, code="not-a-certificate")
    if labels and labels != ["CERTIFICATE"]:
        message = f"is a PEM block '{labels[0][:40]}' instead of a certificate"
        raise CertificateRejected(message, code="not-a-certificate")
    try:
        return x509.load_pem_x509_certificate(content) if labels else x509.load_der_x509_certificate(content)
    except (ValueError, TypeError):
        # The parser's own message may quote the input.
        raise _not_a_certificate() from None


def _not_a_certificate() -> CertificateRejected:
    return CertificateRejected("is not an X.509 certificate in PEM or DER form", code="not-a-certificate")


def _is_private_key_der(content: bytes) -> bool:
    try:
        serialization.load_der_private_key(content, password=None)
    except TypeError:
        return True  # encrypted with a password
    except Exception:  # the library raises many kinds for what is no private key
        return False
    return True


def _rsa_key(certificate: x509.Certificate, fingerprint: str) -> RSAPublicKey:
    try:
        key = certificate.public_key()
    except Exception:  # the library raises many kinds for keys that it cannot read
        message = "has a public key of an unsupported type"
        raise CertificateRejected(message, code="certificate-not-rsa", fingerprint=fingerprint) from None
    if not isinstance(key, RSAPublicKey):
        message = "has no RSA key, and files are encrypted for RSA keys only"
        raise CertificateRejected(message, code="certificate-not-rsa", fingerprint=fingerprint)
    if key.key_size < MIN_RSA_BITS:
        message = f"has an RSA key of {key.key_size} bits; at least {MIN_RSA_BITS} are required"
        raise CertificateRejected(message, code="certificate-key-too-short", fingerprint=fingerprint)
    return key
