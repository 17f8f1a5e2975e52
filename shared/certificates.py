"""The certificate rule (rules C1 and P3): which certificates files are encrypted for.

job-api applies it to uploads and the exporter applies it again before each run, so a certificate that the one accepts
the other accepts as well, at the same instant.
"""

import base64
import hashlib
import textwrap
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from cryptography import x509

from shared.certificate_forms import FormRejected, extract_certificate
from shared.certificate_keys import (
    KeyFault,
    KeyRejected,
    KeyType,
    RecipientPublicKey,
    accept_key,
    find_usage_note,
    get_key_type,
)
from shared.certificate_names import describe_name, identify_issuer
from shared.certificate_relaxing import DatesUnreadable, relax_certificate
from shared.errors import SluiceError
from shared.private_keys import contains_private_key
from shared.validity import find_validity_fault

MAX_BYTES: Final = 64 * 1024
_DATES_UNREADABLE: Final = "has dates that cannot be read"

CertificateFault = Literal[KeyFault, "not-a-certificate", "certificate-not-yet-valid", "certificate-expired"]


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
    """A certificate that passed the rule; `fingerprint` is the SHA-256 of `der` in hex.

    Programs that open files cannot distinguish certificates with the same `issuer_and_serial` (SHA-256, hex).
    `note` says what its owner should know although files are encrypted for it.
    """

    der: bytes
    public_key: RecipientPublicKey
    fingerprint: str
    issuer_and_serial: str
    subject: str
    not_before: datetime
    not_after: datetime
    note: str | None = None

    @property
    def key_type(self) -> KeyType:
        """The kind of its key."""
        return get_key_type(self.public_key)

    @property
    def pem(self) -> str:
        """The certificate in PEM, without any text around it."""
        lines = textwrap.wrap(base64.b64encode(self.der).decode("ascii"), 64)
        return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def accept_certificate(content: bytes, *, at: datetime) -> RecipientCertificate:
    """Return the one certificate in `content` if files may be encrypted for it at the aware instant `at`.

    It must be X.509, valid at `at`, with an RSA key of 2,048 bits or more or an EC key on P-256, P-384 or P-521, to
    which a trial encryption succeeds, and alone: no second certificate, no private key; see `shared.certificate_forms`.
    Raises CertificateRejected.
    """
    der = _extract(content)
    certificate, fingerprint = _load(der), hashlib.sha256(der).hexdigest()
    try:
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except ValueError:
        raise CertificateRejected(_DATES_UNREADABLE, code="not-a-certificate", fingerprint=fingerprint) from None
    if (fault := find_validity_fault(not_before, not_after, at)) is not None:
        raise CertificateRejected(fault.message, code=fault.code, fingerprint=fingerprint)
    try:
        key = accept_key(certificate)
    except KeyRejected as error:
        raise CertificateRejected(str(error), code=error.code, fingerprint=fingerprint) from None
    return RecipientCertificate(
        der=der,
        public_key=key,
        fingerprint=fingerprint,
        issuer_and_serial=_hash_identity(certificate),
        subject=describe_name(certificate),
        not_before=not_before,
        not_after=not_after,
        note=find_usage_note(certificate),
    )


def find_note(pem: str) -> str | None:
    """Return what the owner of an accepted certificate should know; None also for one that cannot be read."""
    try:
        certificate = _load(extract_certificate(pem.encode()))
    except (CertificateRejected, FormRejected):
        return None
    return find_usage_note(certificate)


def identify_certificate(pem: str) -> str:
    """Return the `issuer_and_serial` of an accepted certificate. Raises CertificateRejected for another text."""
    return _hash_identity(_load(_extract(pem.encode())))


def _extract(content: bytes) -> bytes:
    if len(content) > MAX_BYTES:
        raise CertificateRejected(f"is larger than {MAX_BYTES // 1024} KiB", code="not-a-certificate")
    if contains_private_key(content):
        raise CertificateRejected(
            "contains a private key, which must stay with its owner. Nothing was stored. Upload the certificate alone "
            "(openssl x509 -in FILE -out certificate.pem; from PKCS#12: openssl pkcs12 -in FILE -nokeys -clcerts -out "
            "certificate.pem); if others may have seen the key on its way here, create a new key pair",
            code="not-a-certificate",
        )
    try:
        return extract_certificate(content)
    except FormRejected as error:
        raise CertificateRejected(str(error), code="not-a-certificate") from None


def _load(der: bytes) -> x509.Certificate:
    try:
        try:
            return x509.load_der_x509_certificate(der)
        except (ValueError, x509.InvalidVersion):
            return x509.load_der_x509_certificate(relax_certificate(der))
    except DatesUnreadable:
        raise CertificateRejected(_DATES_UNREADABLE, code="not-a-certificate") from None
    except (ValueError, TypeError, x509.InvalidVersion):
        # The parser's own message may quote the input.
        message = "is not an X.509 certificate in PEM or DER form"
        raise CertificateRejected(message, code="not-a-certificate") from None


def _hash_identity(certificate: x509.Certificate) -> str:
    return hashlib.sha256(f"{identify_issuer(certificate)}\0{certificate.serial_number:x}".encode()).hexdigest()
