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
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from shared.certificate_forms import FormRejected, extract_certificate
from shared.certificate_names import describe_name, relax_names
from shared.errors import SluiceError
from shared.private_keys import contains_private_key
from shared.validity import find_validity_fault

MAX_BYTES: Final = 64 * 1024
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 16384
"""OpenSSL's own limit (OPENSSL_RSA_MAX_MODULUS_BITS)."""
_PSS_ONLY: Final = "1.2.840.113549.1.1.10"
_CONTENT_KEY: Final = bytes(32)

CertificateFault = Literal[
    "not-a-certificate",
    "certificate-not-yet-valid",
    "certificate-expired",
    "certificate-not-rsa",
    "certificate-key-too-short",
    "certificate-key-unusable",
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
    """A certificate that passed the rule; `fingerprint` is the SHA-256 of `der` in hex.

    `note` says what its owner should know although files are encrypted for it.
    """

    der: bytes
    public_key: RSAPublicKey
    fingerprint: str
    subject: str
    not_before: datetime
    not_after: datetime
    note: str | None = None

    @property
    def pem(self) -> str:
        """The certificate in PEM, without any text around it."""
        lines = textwrap.wrap(base64.b64encode(self.der).decode("ascii"), 64)
        return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def accept_certificate(content: bytes, *, at: datetime) -> RecipientCertificate:
    """Return the one certificate in `content` if files may be encrypted for it at the aware instant `at`.

    It must be X.509, valid at `at`, with an RSA key of 2,048 bits or more to which a trial encryption succeeds, and
    alone: no second certificate, no private key; see `shared.certificate_forms`. Raises CertificateRejected.
    """
    der = _extract(content)
    certificate, fingerprint = _load(der), hashlib.sha256(der).hexdigest()
    try:
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except ValueError:
        message = "has dates that cannot be read"
        raise CertificateRejected(message, code="not-a-certificate", fingerprint=fingerprint) from None
    if (fault := find_validity_fault(not_before, not_after, at)) is not None:
        raise CertificateRejected(fault.message, code=fault.code, fingerprint=fingerprint)
    return RecipientCertificate(
        der=der,
        public_key=_require_usable_key(certificate, fingerprint),
        fingerprint=fingerprint,
        subject=describe_name(certificate),
        not_before=not_before,
        not_after=not_after,
        note=_find_note(certificate),
    )


def find_note(pem: str) -> str | None:
    """Return what the owner of an accepted certificate should know; None also for one that cannot be read."""
    try:
        certificate = _load(extract_certificate(pem.encode()))
    except (CertificateRejected, FormRejected):
        return None
    return _find_note(certificate)


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
        except ValueError:
            return x509.load_der_x509_certificate(relax_names(der))
    except x509.InvalidVersion:
        raise CertificateRejected("has a version of X.509 that does not exist", code="not-a-certificate") from None
    except (ValueError, TypeError):
        # The parser's own message may quote the input.
        message = "is not an X.509 certificate in PEM or DER form"
        raise CertificateRejected(message, code="not-a-certificate") from None


def _require_usable_key(certificate: x509.Certificate, fingerprint: str) -> RSAPublicKey:
    if certificate.public_key_algorithm_oid.dotted_string == _PSS_ONLY:
        message = "has an RSA key that is restricted to signatures (RSA-PSS), with which nothing can be decrypted"
        raise CertificateRejected(message, code="certificate-key-unusable", fingerprint=fingerprint)
    try:
        key = certificate.public_key()
    except Exception:  # the library raises many kinds for keys that it cannot read
        message = "has a public key of an unsupported type, or one that cannot be read"
        raise CertificateRejected(message, code="certificate-not-rsa", fingerprint=fingerprint) from None
    if not isinstance(key, RSAPublicKey):
        message = "has no RSA key, and files are encrypted for RSA keys only"
        raise CertificateRejected(message, code="certificate-not-rsa", fingerprint=fingerprint)
    if key.key_size < MIN_RSA_BITS:
        message = f"has an RSA key of {key.key_size} bits; at least {MIN_RSA_BITS} are required"
        raise CertificateRejected(message, code="certificate-key-too-short", fingerprint=fingerprint)
    if key.key_size > MAX_RSA_BITS:
        message = f"has an RSA key of {key.key_size} bits; at most {MAX_RSA_BITS} are possible"
        raise CertificateRejected(message, code="certificate-key-unusable", fingerprint=fingerprint)
    _encrypt_on_trial(key, fingerprint)
    return key


def _encrypt_on_trial(key: RSAPublicKey, fingerprint: str) -> None:
    """Encrypt a content key in both ways in which an export may."""
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    numbers = key.public_numbers()
    is_usable = numbers.n % 2 == 1 and numbers.e % 2 == 1
    try:
        for each in (padding.PKCS1v15(), oaep):
            key.encrypt(_CONTENT_KEY, each)
    except (ValueError, UnsupportedAlgorithm):
        is_usable = False
    if not is_usable:
        message = "has an RSA key to which nothing can be encrypted: its modulus or exponent is not one of RSA"
        raise CertificateRejected(message, code="certificate-key-unusable", fingerprint=fingerprint)


def _find_note(certificate: x509.Certificate) -> str | None:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None
    except Exception:  # the library raises many kinds for extensions that it cannot read
        return "Some of its extensions cannot be read. Files are encrypted for it; test that your program opens them."
    if usage.key_encipherment:
        return None
    return (
        "Its key usage does not include key encipherment. Files are encrypted for it, and sluice and openssl open "
        "them; other programs may refuse to."
    )
