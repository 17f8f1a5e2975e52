"""The private key of a recipient, and what identifies it in a CMS file."""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from sluice.asn1 import OCTET_STRING, Asn1Error, Node, parse
from sluice.errors import DecryptionFailed
from sluice.key_forms import PrivateKey, find_certificate, read_private_key

_CONTEXT_0 = 0xA0
_EXTENSIONS = 0xA3
_SUBJECT_KEY_IDENTIFIER = "2.5.29.14"


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """A private key to decrypt with, and how files identify it.

    `issuer` (DER) and `serial_number` (an INTEGER's content) are those of its certificate, if that is known;
    `key_identifiers` are the certificate's, and the one that is derived from the key.
    """

    private: RSAPrivateKey | EllipticCurvePrivateKey
    issuer: bytes = b""
    serial_number: bytes = b""
    key_identifiers: frozenset[bytes] = frozenset()


def load_recipient_key(
    key_file: bytes, passphrase: bytes | None = None, certificate_data: bytes | None = None
) -> RecipientKey:
    """Read a private key in any common form and, optionally, its certificate (PEM or DER).

    Raises DecryptionFailed when a file cannot be read, the passphrase is wrong, or the two do not match.
    """
    private, own_certificate = read_private_key(key_file, passphrase)
    public = private.public_key()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    # RFC 5280, 4.2.1.2 (1): the SHA-1 of the key's bits; it names the key and protects nothing.
    derived = hashlib.sha1(parse(spki)[1].bits, usedforsecurity=False).digest()
    encoded = find_certificate(certificate_data) if certificate_data is not None else own_certificate
    if encoded is None:
        return RecipientKey(private, key_identifiers=frozenset({derived}))
    try:
        fields = _find_fields(encoded)
        belongs = _is_key_of(private, fields[5].encode())
        return_key = RecipientKey(
            private,
            issuer=fields[2].encode(),
            serial_number=fields[0].content,
            key_identifiers=frozenset({derived, *_find_key_identifiers(fields)}),
        )
    except Asn1Error:
        raise DecryptionFailed("The certificate cannot be read: it must be X.509, in PEM or DER.") from None
    if not belongs:
        raise DecryptionFailed("The certificate does not belong to the private key.")
    return return_key


def _find_fields(certificate: bytes) -> list[Node]:
    """Return serial number, algorithm, issuer, validity, subject, public key and what follows (RFC 5280, 4.1)."""
    fields = list(parse(certificate)[0].children)
    if fields and fields[0].tag == _CONTEXT_0:  # the version
        fields = fields[1:]
    if len(fields) < 6:
        raise Asn1Error("a certificate has fewer fields")
    return fields


def _is_key_of(private: PrivateKey, spki: bytes) -> bool:
    try:
        return serialization.load_der_public_key(spki) == private.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False


def _find_key_identifiers(fields: list[Node]) -> list[bytes]:
    extensions = next((each[0] for each in fields[6:] if each.tag == _EXTENSIONS), Node(0))
    found = (each for each in extensions.children if each[0].dotted == _SUBJECT_KEY_IDENTIFIER)
    return [parse(each.children[-1].octets).require(OCTET_STRING).content for each in found]
