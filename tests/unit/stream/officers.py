"""Officers, who can open files: keys and certificates for tests, and decryption with the openssl command."""

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from shared.certificates import RecipientCertificate, accept_certificate
from sluice.recipients import RecipientKey, load_recipient_key

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
_CURVES: Final = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1(), "other": ec.SECP256K1()}
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Officer:
    """A private key with its certificate."""

    key: PrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @cached_property
    def recipient(self) -> RecipientCertificate:
        """The officer as the exporter's recipient."""
        return accept_certificate(self.pem, at=NOW)

    @cached_property
    def recipient_key(self) -> RecipientKey:
        """The client's view of the officer."""
        return load_recipient_key(self.key_pem(), None, self.pem)

    @cached_property
    def recipient_key_without_certificate(self) -> RecipientKey:
        """The client's view of an officer who provides only the key."""
        return load_recipient_key(self.key_pem())

    def key_pem(self, passphrase: bytes | None = None) -> bytes:
        """Return the private key in PEM, encrypted if a passphrase is given."""
        encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    def write_to(self, folder: Path) -> tuple[Path, Path]:
        """Write key and certificate as files and return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        key.write_bytes(self.key_pem())
        certificate.write_bytes(self.pem)
        return key, certificate


def make_officer(
    name: str,
    *,
    bits: int = 2048,
    start: datetime = NOW - timedelta(days=1),
    end: datetime = NOW + timedelta(days=3650),
    curve: str | None = None,
    serial: int | None = None,
) -> Officer:
    """Create a key and a self-signed certificate; `curve` as in P-256 makes an EC key."""
    key: PrivateKey = (
        rsa.generate_private_key(public_exponent=65537, key_size=bits)
        if curve is None
        else ec.generate_private_key(_CURVES[curve])
    )
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ünï")]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Officer(key, certificate)


@cache
def officer(name: str = "officer") -> Officer:
    """Return the officer of that name; keys are created once in a process. One named as a curve has an EC key on it."""
    return make_officer(name, curve=name if name in _CURVES else None)


def openssl_decrypt(artifact: Path, officer: Officer, *, command: str = "cms") -> bytes:
    """Decrypt a file with `openssl cms` or `openssl smime`. Raises CalledProcessError."""
    key, certificate = officer.write_to(artifact.parent / "officer")
    call: list[str | Path] = ["openssl", command, "-decrypt", "-binary", "-inform", "DER", "-in", artifact]
    call += ["-inkey", key, "-recip", certificate]
    return subprocess.run(call, check=True, capture_output=True).stdout
