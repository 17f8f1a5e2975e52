"""Makes a recipient's private key and self-signed certificate, as files."""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from sluice.errors import SluiceError

KeyType = Literal["rsa", "ec"]
RSA_BITS: Final = 3072
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_OWNER_ONLY: Final = 0o600
_READABLE: Final = 0o644


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The files that were written, and when the certificate expires."""

    key: Path
    certificate: Path
    expires: datetime


def create_key_pair(
    name: str, folder: Path, *, kind: KeyType = "rsa", passphrase: bytes | None, days: int = 1095
) -> KeyPair:
    """Write `NAME.key.pem`, which only its owner may read, and `NAME.cert.pem`; valid for `days` from now.

    The key is PKCS#8, encrypted if there is a passphrase. Raises SluiceError for a bad name, or if a file exists
    already, and OSError; no file is left then.
    """
    if _NAME.fullmatch(name) is None:
        raise SluiceError("A name has at most 64 letters, digits, '-', '_' and '.', and begins with a letter or digit.")
    key_path, certificate_path = folder / f"{name}.key.pem", folder / f"{name}.cert.pem"
    for path in (key_path, certificate_path):
        if path.exists():
            raise SluiceError(f"{path} already exists; choose another name, and never replace a key that is in use.")
    private = rsa.generate_private_key(65537, RSA_BITS) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC).replace(microsecond=0)
    certificate = _sign(name, private, now, expires=now + timedelta(days=days))
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    key_pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    _write_new(key_path, key_pem, _OWNER_ONLY)
    try:
        _write_new(certificate_path, certificate.public_bytes(serialization.Encoding.PEM), _READABLE)
    except OSError:
        key_path.unlink()
        raise
    return KeyPair(key_path, certificate_path, certificate.not_valid_after_utc)


def _sign(
    name: str, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, now: datetime, *, expires: datetime
) -> x509.Certificate:
    """Return a certificate for encryption alone; an hour's margin allows for clocks that differ."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    is_rsa = isinstance(private, rsa.RSAPrivateKey)
    usage = x509.KeyUsage(
        key_encipherment=is_rsa,
        key_agreement=not is_rsa,
        digital_signature=False,
        content_commitment=False,
        data_encipherment=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(expires)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that did not exist; its mode is set as it is created, whatever the umask."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError:
        path.unlink()
        raise
