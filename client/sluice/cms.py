"""Decrypts CMS enveloped-data as a stream: what Sluice and `openssl cms -encrypt` write, of any size."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

from sluice.asn1 import OCTET_STRING, SEQUENCE, SET, Asn1Error, Node, parse
from sluice.ber import BerReader, ElementHeader, Readable
from sluice.ciphers import DAMAGED_HEADER, GcmDecryptor, decrypt_cbc, find_cipher
from sluice.content_keys import unwrap_content_keys
from sluice.errors import DecryptionFailed
from sluice.recipients import RecipientKey

ENVELOPED: Final = "1.2.840.113549.1.7.3"
AUTH_ENVELOPED: Final = "1.2.840.113549.1.9.16.1.23"
_OTHER_KINDS: Final = {
    "1.2.840.113549.1.7.1": "plain data",
    "1.2.840.113549.1.7.2": "signed data",
    "1.2.840.113549.1.7.6": "data that is encrypted with a password",
    "1.2.840.113549.1.9.16.1.9": "compressed data",
}
CONTEXT_0: Final = 0xA0
CONTEXT_1: Final = 0xA1
CONTEXT_0_PRIMITIVE: Final = 0x80
_MAX_ATTRIBUTES: Final = 100


@dataclass(frozen=True, slots=True)
class EnvelopeStart:
    """What precedes the content of a file, and the elements that are open then, from the outermost to the innermost."""

    kind: Node
    version: Node
    originator: Node | None
    recipients: Node
    content_type: Node
    algorithm: Node
    encrypted: ElementHeader
    content_info: ElementHeader
    explicit: ElementHeader
    envelope: ElementHeader
    content: ElementHeader


def decrypt_chunks(source: Readable, key: RecipientKey) -> Generator[bytes]:
    """Yield the content of a CMS file (BER or DER), chunk by chunk. Raises DecryptionFailed.

    **Do not trust any chunk before the last one**: only then have the length, the padding and, with AES-GCM, the tag
    been verified. Write to a temporary file, and keep it only if no error is raised.
    """
    reader = BerReader(source)
    start = read_start(reader)
    is_cbc = start.kind.dotted == ENVELOPED
    try:
        cipher, nonce = find_cipher(start.algorithm[0].dotted, "cbc" if is_cbc else "gcm"), _find_nonce(start.algorithm)
    except Asn1Error:
        raise DecryptionFailed(DAMAGED_HEADER) from None
    keys = unwrap_content_keys(start.recipients, key, cipher.key_bytes)
    encrypted = reader.read_octets(start.encrypted)
    if is_cbc:
        yield from decrypt_cbc(encrypted, cipher, keys, nonce=nonce)
        read_rest(reader, start)
    else:
        decryptor = GcmDecryptor(keys, nonce)
        yield from decryptor.decrypt(encrypted)
        decryptor.verify(_find_tag(read_rest(reader, start)))


def read_start(reader: BerReader) -> EnvelopeStart:
    """Read everything that precedes the content. Raises DecryptionFailed for anything but enveloped-data."""
    content_info = reader.read_header(SEQUENCE)
    kind = _read_node(reader)
    _require_envelope(kind)
    explicit = reader.read_header(CONTEXT_0)
    envelope = reader.read_header(SEQUENCE)
    version, recipients, originator = _read_node(reader), _read_node(reader), None
    if recipients.tag == CONTEXT_0:
        originator, recipients = recipients, _read_node(reader)
    if recipients.tag != SET:
        raise DecryptionFailed("This is not a CMS enveloped-data file, or it is damaged.")
    content = reader.read_header(SEQUENCE)
    content_type, algorithm = _read_node(reader), _read_node(reader)
    if not reader.has_more(content):
        raise DecryptionFailed("The file has no content: it may be stored in another file.")
    return EnvelopeStart(
        kind=kind,
        version=version,
        originator=originator,
        recipients=recipients,
        content_type=content_type,
        algorithm=algorithm,
        encrypted=reader.read_header(CONTEXT_0, CONTEXT_0_PRIMITIVE),
        content_info=content_info,
        explicit=explicit,
        envelope=envelope,
        content=content,
    )


def read_rest(reader: BerReader, start: EnvelopeStart) -> list[Node]:
    """Read everything after the content, and return the elements after it: tag, attributes. Raises DecryptionFailed."""
    reader.read_end(start.content)
    found: list[Node] = []
    while reader.has_more(start.envelope):
        if len(found) == _MAX_ATTRIBUTES:
            raise DecryptionFailed("The file is damaged: it goes on after its end.")
        found.append(_read_node(reader))
    reader.read_end(start.explicit)
    reader.read_end(start.content_info)
    return found


def _read_node(reader: BerReader) -> Node:
    try:
        return parse(reader.read_element())
    except Asn1Error:
        raise DecryptionFailed(DAMAGED_HEADER) from None


def _require_envelope(identifier: Node) -> None:
    try:
        kind = identifier.dotted
    except Asn1Error:
        raise DecryptionFailed("This is not a CMS enveloped-data file, or it is damaged.") from None
    if kind not in {ENVELOPED, AUTH_ENVELOPED}:
        found = _OTHER_KINDS.get(kind, "something else")
        raise DecryptionFailed(f"This CMS file is not encrypted for a certificate: it contains {found}.")


def _find_nonce(algorithm: Node) -> bytes:
    """Return the initialisation vector or nonce: alone, or first in the GCMParameters of RFC 5084."""
    parameters = algorithm[1]
    return (parameters[0] if parameters.tag == SEQUENCE else parameters).require(OCTET_STRING).content


def _find_tag(rest: list[Node]) -> bytes:
    if rest and rest[0].tag == CONTEXT_1:
        # They are authenticated before the content (RFC 5083, section 2.2), and a zip archive needs none.
        raise DecryptionFailed("The file has authenticated attributes, which are not supported.")
    if not rest or rest[0].tag not in {OCTET_STRING, OCTET_STRING | 0x20}:
        raise DecryptionFailed("The file is truncated.")
    return rest[0].octets
