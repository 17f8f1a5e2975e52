"""Finds the content key of a CMS file with the private key of one of its recipients (RFC 5652, RFC 5753, RFC 8017).

A list of recipients says much about keys that are not ours. What cannot be read in another recipient's entry does not
stop ours.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from sluice.asn1 import BIT_STRING, OCTET_STRING, SEQUENCE, Asn1Error, Node, build
from sluice.ciphers import NOT_A_RECIPIENT
from sluice.errors import DecryptionFailed
from sluice.recipients import RecipientKey

_KEY_AGREEMENT: Final = 0xA1
_RSA: Final = "1.2.840.113549.1.1.1"
_OAEP: Final = "1.2.840.113549.1.1.7"
_HASHES: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    "1.3.14.3.2.26": hashes.SHA1,
    "2.16.840.1.101.3.4.2.4": hashes.SHA224,
    "2.16.840.1.101.3.4.2.1": hashes.SHA256,
    "2.16.840.1.101.3.4.2.2": hashes.SHA384,
    "2.16.840.1.101.3.4.2.3": hashes.SHA512,
}
# RFC 5753, 7.1.4: ECDH with the X9.63 key derivation. With the curves' cofactor of 1, both kinds of ECDH are the same.
_AGREEMENTS: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    "1.3.133.16.840.63.0.2": hashes.SHA1,
    "1.3.133.16.840.63.0.3": hashes.SHA1,
    "1.3.132.1.11.0": hashes.SHA224,
    "1.3.132.1.11.1": hashes.SHA256,
    "1.3.132.1.11.2": hashes.SHA384,
    "1.3.132.1.11.3": hashes.SHA512,
    "1.3.132.1.14.0": hashes.SHA224,
    "1.3.132.1.14.1": hashes.SHA256,
    "1.3.132.1.14.2": hashes.SHA384,
    "1.3.132.1.14.3": hashes.SHA512,
}
_TRIPLE_DES_WRAP: Final = "1.2.840.113549.1.9.16.3.6"
_WRAP_KEY_BYTES: Final = {
    "2.16.840.1.101.3.4.1.5": 16,
    "2.16.840.1.101.3.4.1.25": 24,
    "2.16.840.1.101.3.4.1.45": 32,
    _TRIPLE_DES_WRAP: 24,
}
_TRIPLE_DES_IV: Final = bytes.fromhex("4adda22c79e82105")
_SHA1_NODE: Final = "1.3.14.3.2.26"


class _Unsupported(Exception):
    """An entry uses an algorithm that does not open; the message names it."""


@dataclass(frozen=True, slots=True)
class _RecipientEntry:
    """What one recipient's entry says: whether it names our certificate, and how its content key is unwrapped.

    `unwrap` returns None if the entry is another key's, and raises _Unsupported.
    """

    is_ours: bool
    unwrap: Callable[[], bytes | None]


def unwrap_content_keys(recipients: Node, key: RecipientKey, size: int) -> list[bytes]:
    """Return the different content keys of `size` bytes that the key unwraps from a RecipientInfos.

    An entry that names the key's certificate decides. Without one, RSA PKCS#1 v1.5 may produce plausible keys from the
    entries of other recipients, so there may be several, and the caller finds the right one. Raises DecryptionFailed if
    there is none.
    """
    entries = list(_find_entries(recipients, key))
    unsupported: list[str] = []
    for group in ([each for each in entries if each.is_ours], [each for each in entries if not each.is_ours]):
        keys = dict.fromkeys(each for each in _unwrap_all(group, unsupported) if len(each) == size)
        if keys:
            return list(keys)
    reason = f" One of them uses {unsupported[0]}, which is not supported." if unsupported else ""
    raise DecryptionFailed(NOT_A_RECIPIENT + reason)


def _unwrap_all(entries: list[_RecipientEntry], unsupported: list[str]) -> Iterator[bytes]:
    for entry in entries:
        try:
            unwrapped = entry.unwrap()
        except _Unsupported as error:
            unsupported.append(str(error))
        except (Asn1Error, ValueError, UnsupportedAlgorithm):
            continue  # another recipient's, or damaged: then no entry opens
        else:
            if unwrapped is not None:
                yield unwrapped


def _find_entries(recipients: Node, key: RecipientKey) -> Iterator[_RecipientEntry]:
    for info in recipients.children:
        try:
            if info.tag == SEQUENCE and isinstance(key.private, RSAPrivateKey):
                yield _read_transport(info, key, key.private)
            elif info.tag == _KEY_AGREEMENT and isinstance(key.private, ec.EllipticCurvePrivateKey):
                yield from _read_agreement(info, key, key.private)
        except Asn1Error:
            continue  # as above


def _read_transport(info: Node, key: RecipientKey, private: RSAPrivateKey) -> _RecipientEntry:
    """Read a KeyTransRecipientInfo: version, recipient, algorithm, encrypted key."""
    algorithm, encrypted = info[2], info[3].octets

    def unwrap() -> bytes | None:
        if len(encrypted) != (private.key_size + 7) // 8:
            return None
        return private.decrypt(encrypted, _find_padding(algorithm))

    return _RecipientEntry(_names(info[1], key), unwrap)


def _read_agreement(info: Node, key: RecipientKey, private: ec.EllipticCurvePrivateKey) -> Iterator[_RecipientEntry]:
    """Read a KeyAgreeRecipientInfo: version, originator, user keying material, algorithm, encrypted keys."""
    fields = list(info.children[1:])
    if len(fields) not in {3, 4}:
        raise Asn1Error("a recipient's entry has other fields")
    originator, algorithm, encrypted_keys = fields[0], fields[-2], fields[-1]
    material = fields[1][0].octets if len(fields) == 4 else None
    for each in encrypted_keys.children:
        encrypted = each[1].octets

        def unwrap(encrypted: bytes = encrypted) -> bytes | None:
            wrapping_key = _agree(private, originator, algorithm, material=material)
            is_triple_des = algorithm[1][0].dotted == _TRIPLE_DES_WRAP
            return (_unwrap_triple_des if is_triple_des else _unwrap_aes)(wrapping_key, encrypted)

        yield _RecipientEntry(_names(each[0], key), unwrap)


def _names(identifier: Node, key: RecipientKey) -> bool:
    """Return whether a recipient's identifier is that of the key's certificate.

    Issuers are compared by their bytes. An encoder may write one in another way than the certificate has it, so
    an entry that is not identified is tried as well, after those that are.
    """
    if identifier.tag != SEQUENCE:  # a subject key identifier, implicit [0], alone or in a RecipientKeyIdentifier
        value = identifier[0].octets if identifier.children else identifier.content
        return value in key.key_identifiers
    return (identifier[0].encode(), identifier[1].content) == (key.issuer, key.serial_number)


def _find_padding(algorithm: Node) -> padding.AsymmetricPadding:
    name = algorithm[0].dotted
    if name == _RSA:
        return padding.PKCS1v15()
    if name != _OAEP:
        raise _Unsupported(f"the key encryption {name}")
    # RSAES-OAEP-params (RFC 8017, A.2.1): hash [0], mask [1], label [2]; what is absent is SHA-1, or empty.
    parameters = algorithm[1] if len(algorithm.children) > 1 else Node(SEQUENCE)
    digest, mask, label = (parameters.find(tag) for tag in (0xA0, 0xA1, 0xA2))
    digest_name = digest[0][0].dotted if digest else _SHA1_NODE
    mask_name = mask[0][1][0].dotted if mask else _SHA1_NODE
    for each in (digest_name, mask_name):
        if each not in _HASHES:
            raise _Unsupported(f"RSA-OAEP with the hash function {each}")
    return padding.OAEP(
        mgf=padding.MGF1(_HASHES[mask_name]()),
        algorithm=_HASHES[digest_name](),
        label=(label[0][1].require(OCTET_STRING).content or None) if label else None,
    )


def _agree(private: ec.EllipticCurvePrivateKey, originator: Node, algorithm: Node, *, material: bytes | None) -> bytes:
    """Return the key that wraps the content key (RFC 5753, 7.2)."""
    name, wrap = algorithm[0].dotted, algorithm[1]
    if name not in _AGREEMENTS:
        raise _Unsupported(f"the key agreement {name}")
    wrap_name = wrap[0].dotted
    if wrap_name not in _WRAP_KEY_BYTES:
        raise _Unsupported(f"the key wrap {wrap_name}")
    point = originator[0].find(BIT_STRING)
    if point is None:
        raise _Unsupported("a static key of the sender")
    public = ec.EllipticCurvePublicKey.from_encoded_point(private.curve, point.bits)
    size = _WRAP_KEY_BYTES[wrap_name]
    shared_info = build(
        SEQUENCE,
        wrap.encode(),
        build(0xA0, build(OCTET_STRING, material)) if material is not None else b"",
        build(0xA2, build(OCTET_STRING, (size * 8).to_bytes(4, "big"))),
    )
    secret = private.exchange(ec.ECDH(), public)
    return X963KDF(_AGREEMENTS[name](), size, shared_info).derive(secret)


def _unwrap_aes(wrapping_key: bytes, encrypted: bytes) -> bytes | None:
    try:
        return aes_key_unwrap(wrapping_key, encrypted)
    except InvalidUnwrap:
        return None


def _unwrap_triple_des(wrapping_key: bytes, encrypted: bytes) -> bytes | None:
    """Unwrap a 3DES key as RFC 3217, section 3.2 says; the SHA-1 in it is the format's checksum."""

    def decrypt(data: bytes, vector: bytes) -> bytes:
        cipher = Cipher(TripleDES(wrapping_key), CBC(vector)).decryptor()
        return cipher.update(data) + cipher.finalize()

    turned = decrypt(encrypted, _TRIPLE_DES_IV)[::-1]
    unwrapped = decrypt(turned[8:], turned[:8])
    key, checksum = unwrapped[:-8], unwrapped[-8:]
    expected = hashlib.sha1(key, usedforsecurity=False).digest()[:8]
    return key if hmac.compare_digest(checksum, expected) else None
