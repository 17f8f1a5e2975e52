"""Decrypts CMS enveloped-data as a stream: what Sluice and `openssl cms -encrypt` write, of any size."""

from collections.abc import Iterator
from dataclasses import dataclass

from asn1crypto import core
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from sluice.ber import INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, BerReader, ElementHeader, Readable
from sluice.errors import DecryptionFailed
from sluice.recipients import NOT_A_RECIPIENT, RecipientKey, unwrap_content_keys

_ENVELOPED = "1.2.840.113549.1.7.3"
_AUTH_ENVELOPED = "1.2.840.113549.1.9.16.1.23"
_KEY_BYTES_CBC = {"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32}
_KEY_BYTES_GCM = {"2.16.840.1.101.3.4.1.6": 16, "2.16.840.1.101.3.4.1.26": 24, "2.16.840.1.101.3.4.1.46": 32}
_BLOCK = 16
_DAMAGED = "The file cannot be decrypted: the key is wrong, or the file is damaged."
_DAMAGED_HEADER = "The file is damaged: its header cannot be read."
_MAX_SHORT = 64
_MIN_GCM_NONCE = 8
_ZIP_MAGIC = b"PK\x03\x04"
_CONTEXT_0 = 0xA0
_CONTEXT_1 = 0xA1
_CONTEXT_0_PRIMITIVE = 0x80


def decrypt_chunks(source: Readable, key: RecipientKey) -> Iterator[bytes]:
    """Yield the content of a CMS file (BER or DER), chunk by chunk. Raises DecryptionFailed.

    **Do not trust any chunk before the last one**: only then have the length, the padding and, with AES-GCM, the tag
    been verified. Write to a temporary file, and keep it only if no error is raised.
    """
    reader = BerReader(source)
    content_info = reader.read_header(SEQUENCE)
    kind = _read_object_identifier(reader)
    if kind not in {_ENVELOPED, _AUTH_ENVELOPED}:
        raise DecryptionFailed("This CMS file is not encrypted for a certificate: it is not enveloped-data.")
    explicit = reader.read_header(_CONTEXT_0)
    envelope = reader.read_header(SEQUENCE)
    _read_short(reader, reader.read_header(INTEGER))
    recipients = _read_recipient_infos(reader)
    content = reader.read_header(SEQUENCE)
    _read_object_identifier(reader)
    algorithm, nonce = _read_algorithm(reader)
    encrypted = reader.read_octets(reader.read_header(_CONTEXT_0, _CONTEXT_0_PRIMITIVE))
    if kind == _ENVELOPED:
        yield from _decrypt_cbc(encrypted, _Parameters(recipients, key, algorithm, nonce))
        reader.read_end(content)
        _skip_attributes(reader, envelope)
    else:
        decryptor = _GcmDecryptor(_Parameters(recipients, key, algorithm, nonce))
        yield from map(decryptor.update, encrypted)
        reader.read_end(content)
        decryptor.verify(_read_mac(reader, envelope))
        _skip_attributes(reader, envelope)
    reader.read_end(explicit)
    reader.read_end(content_info)


def _read_object_identifier(reader: BerReader) -> str:
    contents = _read_short(reader, reader.read_header(OBJECT_IDENTIFIER))
    try:
        dotted: str = core.ObjectIdentifier(contents=contents).dotted
    except (ValueError, IndexError):
        raise DecryptionFailed(_DAMAGED_HEADER) from None
    return dotted


def _read_recipient_infos(reader: BerReader) -> bytes:
    element = reader.read_element()
    if element[0] == _CONTEXT_0:  # originatorInfo, which RSA recipients do not need
        element = reader.read_element()
    if element[0] != SET:
        raise DecryptionFailed("This is not a CMS enveloped-data file (DER), or it is damaged.")
    return element


def _read_algorithm(reader: BerReader) -> tuple[str, bytes]:
    """Return an AES algorithm's identifier and its initialisation vector or nonce."""
    algorithm = reader.read_header(SEQUENCE)
    name = _read_object_identifier(reader)
    parameters = reader.read_header(OCTET_STRING, SEQUENCE)
    if parameters.tag == OCTET_STRING:
        nonce = _read_short(reader, parameters)
    else:  # GCMParameters (RFC 5084): the nonce and the tag's length, which the tag itself shows
        nonce = _read_short(reader, reader.read_header(OCTET_STRING))
        while reader.has_more(parameters):
            reader.read_element()
    reader.read_end(algorithm)
    return name, nonce


def _read_short(reader: BerReader, header: ElementHeader) -> bytes:
    size = (header.end or 0) - reader.position
    if not 0 < size <= _MAX_SHORT:
        raise DecryptionFailed(_DAMAGED_HEADER)
    return reader.read_exactly(size)


@dataclass(frozen=True, slots=True)
class _Parameters:
    """The encryption of a file according to its header, and the key to decrypt it with."""

    recipients: bytes
    key: RecipientKey
    algorithm: str
    nonce: bytes

    def content_keys(self, sizes: dict[str, int]) -> list[bytes]:
        """Return the possible content keys, for an algorithm of those in `sizes`. Raises DecryptionFailed."""
        if self.algorithm not in sizes:
            raise DecryptionFailed(f"The file is encrypted with an algorithm that is not supported ({self.algorithm}).")
        return unwrap_content_keys(self.recipients, self.key, sizes[self.algorithm])


def _decrypt_cbc(encrypted: Iterator[bytes], parameters: _Parameters) -> Iterator[bytes]:
    keys, nonce = parameters.content_keys(_KEY_BYTES_CBC), parameters.nonce
    if len(nonce) != _BLOCK:
        raise DecryptionFailed(_DAMAGED_HEADER)
    # The last block has the padding, so at least one block is always held back.
    held = b""
    for chunk in encrypted:
        held += chunk
        if len(held) >= 2 * _BLOCK:
            break
    if len(held) < _BLOCK:
        raise DecryptionFailed("The file is truncated.")
    cipher = Cipher(AES(_choose_key(keys, CBC(nonce), held[:_BLOCK])), CBC(nonce)).decryptor()
    whole = (len(held) - 1) // _BLOCK * _BLOCK
    yield cipher.update(held[:whole])
    held = held[whole:]
    for chunk in encrypted:
        held += chunk
        whole = (len(held) - 1) // _BLOCK * _BLOCK
        yield cipher.update(held[:whole])
        held = held[whole:]
    if len(held) != _BLOCK:
        raise DecryptionFailed("The file is truncated.")
    yield _remove_padding(cipher.update(held) + cipher.finalize())


def _choose_key(keys: list[bytes], mode: CBC | GCM, beginning: bytes) -> bytes:
    """Return the key under which the content begins as a zip archive does; all keys have the right length."""
    if len(keys) == 1:
        return keys[0]
    for key in keys:
        if Cipher(AES(key), mode).decryptor().update(beginning).startswith(_ZIP_MAGIC):
            return key
    raise DecryptionFailed(f"{NOT_A_RECIPIENT} If it should, pass its certificate too.")


def _remove_padding(block: bytes) -> bytes:
    size = block[-1]
    if not 1 <= size <= _BLOCK or block[-size:] != bytes((size,)) * size:
        raise DecryptionFailed(_DAMAGED)
    return block[:-size]


class _GcmDecryptor:
    def __init__(self, parameters: _Parameters) -> None:
        self._keys = parameters.content_keys(_KEY_BYTES_GCM)
        if len(parameters.nonce) < _MIN_GCM_NONCE:
            raise DecryptionFailed(_DAMAGED_HEADER)
        self._mode = GCM(parameters.nonce)
        self._cipher: AEADDecryptionContext | None = None

    def update(self, data: bytes) -> bytes:
        return self._start(data).update(data)

    def verify(self, mac: bytes) -> None:
        try:
            self._start(b"").finalize_with_tag(mac)
        except (InvalidTag, ValueError):
            raise DecryptionFailed(_DAMAGED) from None

    def _start(self, data: bytes) -> AEADDecryptionContext:
        if self._cipher is None:
            self._cipher = Cipher(AES(_choose_key(self._keys, self._mode, data[:_BLOCK])), self._mode).decryptor()
        return self._cipher


def _read_mac(reader: BerReader, envelope: ElementHeader) -> bytes:
    if not reader.has_more(envelope):
        raise DecryptionFailed("The file is truncated.")
    header = reader.read_header(OCTET_STRING, _CONTEXT_1)
    if header.tag == _CONTEXT_1:
        # They are authenticated before the content (RFC 5083, section 2.2), and a zip archive needs none.
        raise DecryptionFailed("The file has authenticated attributes, which are not supported.")
    return b"".join(reader.read_octets(header))


def _skip_attributes(reader: BerReader, envelope: ElementHeader) -> None:
    while reader.has_more(envelope):
        reader.read_element()
