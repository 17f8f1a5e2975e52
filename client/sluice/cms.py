"""Decrypts CMS enveloped-data as a stream: what Sluice and `openssl cms -encrypt` write, of any size."""

from collections.abc import Iterator

from asn1crypto import core
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from sluice.ber import INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, Header, Reader, Source
from sluice.errors import DecryptionFailed
from sluice.recipients import NOBODY, Identity, content_keys

_ENVELOPED = "1.2.840.113549.1.7.3"
_AUTH_ENVELOPED = "1.2.840.113549.1.9.16.1.23"
_KEY_BYTES_CBC = {"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32}
_KEY_BYTES_GCM = {"2.16.840.1.101.3.4.1.6": 16, "2.16.840.1.101.3.4.1.26": 24, "2.16.840.1.101.3.4.1.46": 32}
_BLOCK = 16
_DAMAGED = "The file does not decrypt: the key is not the right one, or the file is damaged."
_DAMAGED_HEAD = "The file is damaged: its head cannot be read."
_LONGEST_SHORT = 64
_SHORTEST_GCM_NONCE = 8
_ZIP_MAGIC = b"PK\x03\x04"
_CONTEXT_0 = 0xA0
_CONTEXT_1 = 0xA1
_CONTEXT_0_PRIMITIVE = 0x80


def decrypted(source: Source, identity: Identity) -> Iterator[bytes]:
    """Yield the content of a CMS file (BER or DER), chunk by chunk.

    **Nothing that was yielded may be trusted before the last chunk came**: only then are length, padding and, with
    AES-GCM, the tag known to be right. Write to a temporary place, and keep it only if this ends well. Raises
    DecryptionFailed for whatever is wrong.
    """
    reader = Reader(source)
    content_info = reader.header(SEQUENCE)
    kind = _object_identifier(reader)
    if kind not in {_ENVELOPED, _AUTH_ENVELOPED}:
        raise DecryptionFailed("This CMS file is not encrypted for a certificate (no enveloped-data).")
    explicit = reader.header(_CONTEXT_0)
    envelope = reader.header(SEQUENCE)
    _short(reader, reader.header(INTEGER))
    recipients = _recipient_infos(reader)
    content = reader.header(SEQUENCE)
    _object_identifier(reader)
    algorithm, nonce = _algorithm(reader)
    octets = reader.header(_CONTEXT_0, _CONTEXT_0_PRIMITIVE)
    sealed = reader.octets(octets)
    if kind == _ENVELOPED:
        yield from _open_cbc(sealed, recipients, identity, algorithm, nonce)
        reader.leave(content)
        _skip_attributes(reader, envelope)
    else:
        opener = _GcmOpener(recipients, identity, algorithm, nonce)
        yield from map(opener.update, sealed)
        reader.leave(content)
        opener.verify(_mac(reader, envelope))
        _skip_attributes(reader, envelope)
    reader.leave(explicit)
    reader.leave(content_info)


def _object_identifier(reader: Reader) -> str:
    contents = _short(reader, reader.header(OBJECT_IDENTIFIER))
    try:
        dotted: str = core.ObjectIdentifier(contents=contents).dotted
    except (ValueError, IndexError):
        raise DecryptionFailed(_DAMAGED_HEAD) from None
    return dotted


def _recipient_infos(reader: Reader) -> bytes:
    element = reader.element()
    if element[0] == _CONTEXT_0:  # originatorInfo, which says nothing to a recipient by RSA
        element = reader.element()
    if element[0] != SET:
        raise DecryptionFailed("This is not a CMS enveloped-data file (DER), or it is damaged.")
    return element


def _algorithm(reader: Reader) -> tuple[str, bytes]:
    """Return an AES algorithm's identifier and its initialisation vector or nonce."""
    algorithm = reader.header(SEQUENCE)
    name = _object_identifier(reader)
    parameters = reader.header(OCTET_STRING, SEQUENCE)
    if parameters.tag == OCTET_STRING:
        nonce = _short(reader, parameters)
    else:  # GCMParameters (RFC 5084): the nonce, and the length of the tag, which the tag shows itself
        nonce = _short(reader, reader.header(OCTET_STRING))
        while reader.has_more(parameters):
            reader.element()
    reader.leave(algorithm)
    return name, nonce


def _short(reader: Reader, header: Header) -> bytes:
    size = (header.end or 0) - reader.position
    if not 0 < size <= _LONGEST_SHORT:
        raise DecryptionFailed(_DAMAGED_HEAD)
    return reader.exactly(size)


def _open_cbc(
    sealed: Iterator[bytes], recipients: bytes, identity: Identity, algorithm: str, nonce: bytes
) -> Iterator[bytes]:
    if algorithm not in _KEY_BYTES_CBC:
        raise DecryptionFailed(f"The file is encrypted in a way this program does not know ({algorithm}).")
    if len(nonce) != _BLOCK:
        raise DecryptionFailed(_DAMAGED_HEAD)
    keys = content_keys(recipients, identity, _KEY_BYTES_CBC[algorithm])
    # The last block holds the padding, so at least one is always held back.
    held = b""
    for chunk in sealed:
        held += chunk
        if len(held) >= 2 * _BLOCK:
            break
    if len(held) < _BLOCK:
        raise DecryptionFailed("The file ends too early: it was cut short.")
    cipher = Cipher(AES(_right_key(keys, CBC(nonce), held[:_BLOCK])), CBC(nonce)).decryptor()
    whole = (len(held) - 1) // _BLOCK * _BLOCK
    yield cipher.update(held[:whole])
    held = held[whole:]
    for chunk in sealed:
        held += chunk
        whole = (len(held) - 1) // _BLOCK * _BLOCK
        yield cipher.update(held[:whole])
        held = held[whole:]
    if len(held) != _BLOCK:
        raise DecryptionFailed("The file ends too early: it was cut short.")
    yield _unpadded(cipher.update(held) + cipher.finalize())


def _right_key(keys: list[bytes], mode: CBC | GCM, beginning: bytes) -> bytes:
    """Choose among keys that all have the right length; only an archive's beginning can tell which is real."""
    if len(keys) == 1:
        return keys[0]
    for key in keys:
        if Cipher(AES(key), mode).decryptor().update(beginning).startswith(_ZIP_MAGIC):
            return key
    raise DecryptionFailed(f"{NOBODY} If it should, give its certificate too.")


def _unpadded(block: bytes) -> bytes:
    size = block[-1]
    if not 1 <= size <= _BLOCK or block[-size:] != bytes((size,)) * size:
        raise DecryptionFailed(_DAMAGED)
    return block[:-size]


class _GcmOpener:
    def __init__(self, recipients: bytes, identity: Identity, algorithm: str, nonce: bytes) -> None:
        if algorithm not in _KEY_BYTES_GCM:
            raise DecryptionFailed(f"The file is encrypted in a way this program does not know ({algorithm}).")
        if len(nonce) < _SHORTEST_GCM_NONCE:
            raise DecryptionFailed(_DAMAGED_HEAD)
        self._mode = GCM(nonce)
        self._keys = content_keys(recipients, identity, _KEY_BYTES_GCM[algorithm])
        self._cipher: AEADDecryptionContext | None = None

    def update(self, data: bytes) -> bytes:
        return self._started(data).update(data)

    def verify(self, mac: bytes) -> None:
        try:
            self._started(b"").finalize_with_tag(mac)
        except (InvalidTag, ValueError):
            raise DecryptionFailed(_DAMAGED) from None

    def _started(self, data: bytes) -> AEADDecryptionContext:
        if self._cipher is None:
            self._cipher = Cipher(AES(_right_key(self._keys, self._mode, data[:_BLOCK])), self._mode).decryptor()
        return self._cipher


def _mac(reader: Reader, envelope: Header) -> bytes:
    if not reader.has_more(envelope):
        raise DecryptionFailed("The file ends too early: it was cut short.")
    header = reader.header(OCTET_STRING, _CONTEXT_1)
    if header.tag == _CONTEXT_1:
        # They would have to be known before the content is read (RFC 5083, 2.2), and nobody needs them for a zip file.
        raise DecryptionFailed("The file has authenticated attributes, which this program does not read.")
    return b"".join(reader.octets(header))


def _skip_attributes(reader: Reader, envelope: Header) -> None:
    while reader.has_more(envelope):
        reader.element()
