"""Finds the content key of a CMS file: which recipient we are, and what was wrapped for us."""

from collections.abc import Iterator
from dataclasses import dataclass

from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from sluice.errors import DecryptionFailed

NOBODY = "This key does not open the file: it was encrypted for other certificates."

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who decrypts: a private key, and its certificate if it is at hand, which names the recipient for certain."""

    key: RSAPrivateKey
    certificate: x509.Certificate | None = None


def load_identity(key_pem: bytes, passphrase: bytes | None = None, certificate_data: bytes | None = None) -> Identity:
    """Read a private key (PEM) and, optionally, its certificate (PEM or DER). Raises DecryptionFailed with what is
    wrong.
    """
    key = _load_key(key_pem, passphrase)
    if certificate_data is None:
        return Identity(key)
    try:
        is_pem = b"-----BEGIN" in certificate_data
        load = x509.load_pem_x509_certificate if is_pem else x509.load_der_x509_certificate
        certificate = load(certificate_data)
    except ValueError:
        raise DecryptionFailed("The certificate cannot be read: it must be X.509 in PEM or DER.") from None
    if certificate.public_key() != key.public_key():
        raise DecryptionFailed("The certificate does not belong to the private key.")
    return Identity(key, certificate)


def content_keys(recipient_infos: bytes, identity: Identity, key_size: int) -> list[bytes]:
    """Return the content keys of `key_size` bytes that the identity may unwrap from a BER RecipientInfos.

    One if it has a certificate. Without, RSA PKCS#1 v1.5 can hand out plausible keys for other people's recipients, so
    there may be several, of which the caller finds the right one. Raises DecryptionFailed if there is none.
    """
    try:
        candidates = [_unwrapped(info, identity.key) for info in _ours(recipient_infos, identity)]
    except (ValueError, TypeError, LookupError, AttributeError):
        # What asn1crypto meets in a damaged structure it says in many ways.
        raise DecryptionFailed("The file is damaged: its list of recipients cannot be read.") from None
    keys = [key for key in candidates if key is not None and len(key) == key_size]
    if not keys:
        raise DecryptionFailed(NOBODY)
    return keys


def _load_key(key_pem: bytes, passphrase: bytes | None) -> RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(key_pem, passphrase)
    except TypeError:
        words = "is encrypted: give its passphrase" if passphrase is None else "is not encrypted: give no passphrase"
        raise DecryptionFailed(f"The private key {words}.") from None
    except ValueError:
        words = "" if passphrase is None else ", or the passphrase is wrong"
        raise DecryptionFailed(f"The private key cannot be read: it must be PEM{words}.") from None
    if not isinstance(key, RSAPrivateKey):
        raise DecryptionFailed("The private key must be RSA.")
    return key


def _ours(recipient_infos: bytes, identity: Identity) -> Iterator[cms.KeyTransRecipientInfo]:
    for info in cms.RecipientInfos.load(recipient_infos):
        if info.name == "ktri" and (identity.certificate is None or _names(info.chosen["rid"], identity.certificate)):
            yield info.chosen


def _names(rid: cms.RecipientIdentifier, certificate: x509.Certificate) -> bool:
    if rid.name == "issuer_and_serial_number":
        issuer: bytes = rid.chosen["issuer"].dump()
        serial: int = rid.chosen["serial_number"].native
        return serial == certificate.serial_number and issuer == certificate.issuer.public_bytes()
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return False
    key_identifier: bytes = rid.chosen.native
    return key_identifier == extension.value.digest


def _unwrapped(info: cms.KeyTransRecipientInfo, key: RSAPrivateKey) -> bytes | None:
    try:
        return key.decrypt(info["encrypted_key"].native, _padding(info["key_encryption_algorithm"]))
    except ValueError:
        return None


def _padding(algorithm: cms.KeyEncryptionAlgorithm) -> padding.AsymmetricPadding:
    name = algorithm["algorithm"].native
    if name in {"rsaes_pkcs1v15", "rsa"}:
        return padding.PKCS1v15()
    if name != "rsaes_oaep":
        raise DecryptionFailed(f"The file's key is wrapped in a way this program does not know ({name}).")
    parameters = algorithm["parameters"]
    digest = _HASHES.get(parameters["hash_algorithm"]["algorithm"].native)
    mask = _HASHES.get(parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native)
    if digest is None or mask is None:
        raise DecryptionFailed("The file's key is wrapped with a hash this program does not know.")
    label: bytes = parameters["p_source_algorithm"]["parameters"].native
    return padding.OAEP(mgf=padding.MGF1(mask()), algorithm=digest(), label=label or None)
