"""What may be kept as a recipient's certificate (C1): checked by what it is, never by what it is called."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from job_api.errors import Fault, Invalid

BYTES_MOST: Final = 64 * 1024
BITS_LEAST: Final = 2048
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_PRIVATE = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")


@dataclass(frozen=True, slots=True)
class Checked:
    """A certificate that broke no rule, in the one form that is kept."""

    pem: str
    fingerprint: str
    subject: str
    key_bits: int
    not_before: datetime
    not_after: datetime


def checked(content: bytes, *, now: datetime, field: str = "pem") -> Checked:
    """Read an uploaded certificate, PEM or DER. Raises Invalid, whose words never repeat what was uploaded."""

    def refuse(why: str) -> Invalid:
        return Invalid(Fault(field, why))

    if len(content) > BYTES_MOST:
        raise refuse(f"is larger than {BYTES_MOST // 1024} KiB, which no certificate is")
    if _holds_private_key(content):
        raise refuse(
            "holds a private key, which must stay with its owner: nothing was kept. Upload the certificate alone, "
            "and if the key has been seen by others on its way here, make a new pair."
        )
    found = _one_certificate(content, refuse)
    key = _public_key(found, refuse)
    if now < found.not_valid_before_utc:
        raise refuse(f"is not valid before {found.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    if now >= found.not_valid_after_utc:
        raise refuse(f"expired at {found.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    return Checked(
        pem=found.public_bytes(serialization.Encoding.PEM).decode("ascii"),
        fingerprint=found.fingerprint(hashes.SHA256()).hex(),
        subject=found.subject.rfc4514_string()[:1000],
        key_bits=key.key_size,
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
    )


def _holds_private_key(content: bytes) -> bool:
    if _PRIVATE.search(content):
        return True
    try:
        serialization.load_der_private_key(content, password=None)
    except TypeError:
        return True  # a key it is, and locked with a password
    except Exception:
        return False
    return True


def _one_certificate(content: bytes, refuse: Callable[[str], Invalid]) -> x509.Certificate:
    labels = [label.decode("ascii") for label in _PEM.findall(content)]
    try:
        if not labels:
            return x509.load_der_x509_certificate(content.strip() if content.lstrip()[:1] != b"0" else content)
        if len(labels) > 1:
            raise refuse(f"holds {len(labels)} PEM blocks: upload exactly one certificate")
        if labels[0] != "CERTIFICATE":
            raise refuse(f"is a PEM block '{labels[0]}', not a certificate")
        return x509.load_pem_x509_certificate(content)
    except ValueError as error:
        raise refuse("is not an X.509 certificate in PEM or DER form") from error


def _public_key(found: x509.Certificate, refuse: Callable[[str], Invalid]) -> rsa.RSAPublicKey:
    try:
        key = found.public_key()
    except Exception as error:
        raise refuse("has a public key of a kind that is not known") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise refuse("has no RSA key: exports are encrypted for RSA certificates")
    if key.key_size < BITS_LEAST:
        raise refuse(f"has an RSA key of {key.key_size} bits; {BITS_LEAST} or more are needed")
    return key
