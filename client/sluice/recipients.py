"""Unwraps the content key of a CMS file with the private key of one of its recipients."""

from collections.abc import Iterator
from dataclasses import dataclass

from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from sluice.errors import DecryptionFailed

NOT_A_RECIPIENT = "This key cannot decrypt the file: it was encrypted for other certificates."

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """A private key to decrypt with, and its certificate, if known, which identifies the recipient in a file."""

    private: RSAPrivateKey
    certificate: x509.Certificate | None = None


def load_recipient_key(
    key_pem: bytes, passphrase: bytes | None = None, certificate_data: bytes | None = None
) -> RecipientKey:
    """Read a private key (PEM) and, optionally, its certificate (PEM or DER).

    Raises DecryptionFailed when a file cannot be read, the passphrase is wrong, or the two do not match.
    """
    key = _load_key(key_pem, passphrase)
    if certificate_data is None:
        return RecipientKey(key)
    try:
        is_pem = b"-----BEGIN" in certificate_data
        load = x509.load_pem_x509_certificate if is_pem else x509.load_der_x509_certificate
        certificate = load(certificate_data)
    except ValueError:
        raise DecryptionFailed("The certificate cannot be read: it must be X.509, in PEM or DER.") from None
    if certificate.public_key() != key.public_key():
        raise DecryptionFailed("The certificate does not belong to the private key.")
    return RecipientKey(key, certificate)


def unwrap_content_keys(recipient_infos: bytes, key: RecipientKey, size: int) -> list[bytes]:
    """Return the content keys of `size` bytes that the key unwraps from a BER-encoded RecipientInfos.

    With a certificate there is one. Without, RSA PKCS#1 v1.5 may produce plausible keys from the entries of other
    recipients, so there may be several, and the caller finds the right one. Raises DecryptionFailed if there is none.
    """
    try:
        candidates = [_unwrap(info, key.private) for info in _find_entries(recipient_infos, key)]
    except (ValueError, TypeError, LookupError, AttributeError):
        # asn1crypto raises any of these for a damaged structure.
        raise DecryptionFailed("The file is damaged: its list of recipients cannot be read.") from None
    keys = [each for each in candidates if each is not None and len(each) == size]
    if not keys:
        raise DecryptionFailed(NOT_A_RECIPIENT)
    return keys


def _load_key(key_pem: bytes, passphrase: bytes | None) -> RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(key_pem, passphrase)
    except TypeError:
        reason = "is encrypted: pass its passphrase" if passphrase is None else "is not encrypted: pass no passphrase"
        raise DecryptionFailed(f"The private key {reason}.") from None
    except ValueError:
        reason = "" if passphrase is None else ", or the passphrase is wrong"
        raise DecryptionFailed(f"The private key cannot be read: it must be PEM{reason}.") from None
    if not isinstance(key, RSAPrivateKey):
        raise DecryptionFailed("The private key must be RSA.")
    return key


def _find_entries(recipient_infos: bytes, key: RecipientKey) -> Iterator[cms.KeyTransRecipientInfo]:
    for info in cms.RecipientInfos.load(recipient_infos):
        if info.name == "ktri" and (key.certificate is None or _identifies(info.chosen["rid"], key.certificate)):
            yield info.chosen


def _identifies(rid: cms.RecipientIdentifier, certificate: x509.Certificate) -> bool:
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


def _unwrap(info: cms.KeyTransRecipientInfo, key: RSAPrivateKey) -> bytes | None:
    try:
        return key.decrypt(info["encrypted_key"].native, _padding(info["key_encryption_algorithm"]))
    except ValueError:
        return None


def _padding(algorithm: cms.KeyEncryptionAlgorithm) -> padding.AsymmetricPadding:
    name = algorithm["algorithm"].native
    if name in {"rsaes_pkcs1v15", "rsa"}:
        return padding.PKCS1v15()
    if name != "rsaes_oaep":
        raise DecryptionFailed(f"The file's key is encrypted with an algorithm that is not supported ({name}).")
    parameters = algorithm["parameters"]
    digest = _HASHES.get(parameters["hash_algorithm"]["algorithm"].native)
    mask = _HASHES.get(parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native)
    if digest is None or mask is None:
        raise DecryptionFailed("The file's key is encrypted with a hash function that is not supported.")
    label: bytes = parameters["p_source_algorithm"]["parameters"].native
    return padding.OAEP(mgf=padding.MGF1(mask()), algorithm=digest(), label=label or None)
