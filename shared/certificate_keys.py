"""The keys that files are encrypted for: RSA, and the elliptic curves that all programs know (rule C1)."""

from collections.abc import Mapping
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

RecipientPublicKey = RSAPublicKey | EllipticCurvePublicKey
KeyType = Literal["rsa", "ec"]
KeyFault = Literal["certificate-key-too-short", "certificate-key-unusable"]

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 16384
"""OpenSSL's own limit (OPENSSL_RSA_MAX_MODULUS_BITS)."""
CURVES: Final[Mapping[str, str]] = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_EC_PUBLIC_KEY: Final = "1.2.840.10045.2.1"
_PSS_ONLY: Final = "1.2.840.113549.1.1.10"
_CONTENT_KEY: Final = bytes(32)


class KeyRejected(ValueError):
    """No file can be encrypted for this key; the message completes a sentence that begins with the certificate."""

    def __init__(self, message: str, code: KeyFault = "certificate-key-unusable") -> None:
        super().__init__(message)
        self.code: KeyFault = code


def accept_key(certificate: x509.Certificate) -> RecipientPublicKey:
    """Return the certificate's key after a trial encryption to it. Raises KeyRejected."""
    if certificate.public_key_algorithm_oid.dotted_string == _PSS_ONLY:
        raise KeyRejected(
            "has an RSA key that is restricted to signatures (RSA-PSS), with which nothing can be decrypted"
        )
    try:
        key = certificate.public_key()
    except Exception:  # the library raises many kinds for keys that it cannot read
        raise KeyRejected("has a public key of an unsupported type, or one that cannot be read") from None
    if isinstance(key, RSAPublicKey):
        return _accept_rsa(key)
    if isinstance(key, EllipticCurvePublicKey):
        return _accept_curve(key)
    raise KeyRejected("has neither an RSA nor an EC key, and files are encrypted for these only")


def get_key_type(key: RecipientPublicKey) -> KeyType:
    """Return the kind of a key."""
    return "rsa" if isinstance(key, RSAPublicKey) else "ec"


def describe_key(key_type: KeyType, bits: int) -> str:
    """Return how people call a key: RSA 3072, EC P-256."""
    return f"RSA {bits}" if key_type == "rsa" else f"EC P-{bits}"


def find_usage_note(certificate: x509.Certificate) -> str | None:
    """Return what the owner should know of a certificate's extensions, which do not hinder encryption."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None
    except Exception:  # the library raises many kinds for extensions that it cannot read
        return "Some of its extensions cannot be read. Files are encrypted for it; test that your program opens them."
    is_curve = certificate.public_key_algorithm_oid.dotted_string == _EC_PUBLIC_KEY
    if usage.key_agreement if is_curve else usage.key_encipherment:
        return None
    missing = "key agreement" if is_curve else "key encipherment"
    return (
        f"Its key usage does not include {missing}. Files are encrypted for it, and sluice and openssl open "
        "them; other programs may refuse to."
    )


def _accept_rsa(key: RSAPublicKey) -> RSAPublicKey:
    if key.key_size < MIN_RSA_BITS:
        message = f"has an RSA key of {key.key_size} bits; at least {MIN_RSA_BITS} are required"
        raise KeyRejected(message, "certificate-key-too-short")
    if key.key_size > MAX_RSA_BITS:
        raise KeyRejected(f"has an RSA key of {key.key_size} bits; at most {MAX_RSA_BITS} are possible")
    if not _is_usable_rsa(key):
        raise KeyRejected("has an RSA key to which nothing can be encrypted: its modulus or exponent is not one of RSA")
    return key


def _is_usable_rsa(key: RSAPublicKey) -> bool:
    """Encrypt a content key in both ways in which an export may."""
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    numbers = key.public_numbers()
    try:
        for each in (padding.PKCS1v15(), oaep):
            key.encrypt(_CONTENT_KEY, each)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return numbers.n % 2 == 1 and numbers.e % 2 == 1


def _accept_curve(key: EllipticCurvePublicKey) -> EllipticCurvePublicKey:
    if key.curve.name not in CURVES:
        message = f"has an EC key on the curve {key.curve.name}; P-256, P-384 and P-521 are possible"
        raise KeyRejected(message)
    try:
        ec.generate_private_key(key.curve).exchange(ec.ECDH(), key)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyRejected("has an EC key with which no secret can be agreed") from None
    return key
