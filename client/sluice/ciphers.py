"""The content ciphers of CMS files: which of them open, what the others are called, and decryption as a stream."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, BlockCipherAlgorithm, Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from sluice.errors import DecryptionFailed

GATHER: Final = 64 * 1024
"""Bytes that are gathered before they are decrypted; with fewer, the calls cost more than the cipher itself."""
DAMAGED: Final = "The file cannot be decrypted: the key is wrong, or the file is damaged."
DAMAGED_HEADER: Final = "The file is damaged: its header cannot be read."
NOT_A_RECIPIENT: Final = "This key cannot decrypt the file: it was encrypted for other certificates."
_TRUNCATED: Final = "The file is truncated."
_ZIP_MAGICS: Final = (b"PK\x03\x04", b"PK\x05\x06")
_GCM_NONCES: Final = range(8, 129)
_GCM_TAGS: Final = range(12, 17)


@dataclass(frozen=True, slots=True)
class ContentCipher:
    """A cipher that opens: its name, mode, and the bytes of its key and its block."""

    name: str
    mode: Literal["cbc", "gcm"]
    key_bytes: int
    block: int = 16


CIPHERS: Final = {
    "2.16.840.1.101.3.4.1.2": ContentCipher("AES-128-CBC", "cbc", 16),
    "2.16.840.1.101.3.4.1.22": ContentCipher("AES-192-CBC", "cbc", 24),
    "2.16.840.1.101.3.4.1.42": ContentCipher("AES-256-CBC", "cbc", 32),
    "1.2.840.113549.3.7": ContentCipher("3DES", "cbc", 24, 8),
    "2.16.840.1.101.3.4.1.6": ContentCipher("AES-128-GCM", "gcm", 16),
    "2.16.840.1.101.3.4.1.26": ContentCipher("AES-192-GCM", "gcm", 24),
    "2.16.840.1.101.3.4.1.46": ContentCipher("AES-256-GCM", "gcm", 32),
}
_REFUSED: Final = {
    "1.2.392.200011.61.1.1.1.2": "Camellia-128-CBC",
    "1.2.392.200011.61.1.1.1.3": "Camellia-192-CBC",
    "1.2.392.200011.61.1.1.1.4": "Camellia-256-CBC",
    "1.2.840.113549.3.2": "RC2-CBC",
    "1.2.840.113549.3.4": "RC4",
    "1.2.840.113533.7.66.10": "CAST5-CBC",
    "1.2.840.113549.1.9.16.3.18": "ChaCha20-Poly1305",
    "1.2.410.200004.1.4": "SEED-CBC",
    "1.3.14.3.2.7": "DES-CBC",
    "1.3.6.1.4.1.188.7.1.1.2": "IDEA-CBC",
    "2.16.840.1.101.3.4.1.7": "AES-128-CCM",
    "2.16.840.1.101.3.4.1.27": "AES-192-CCM",
    "2.16.840.1.101.3.4.1.47": "AES-256-CCM",
}


def find_cipher(identifier: str, mode: Literal["cbc", "gcm"]) -> ContentCipher:
    """Return the cipher of an object identifier. Raises DecryptionFailed, with its name, if it does not open."""
    found = CIPHERS.get(identifier)
    if found is None or found.mode != mode:
        name = found.name if found else _REFUSED.get(identifier, f"an unknown algorithm, {identifier}")
        raise DecryptionFailed(
            f"The file is encrypted with {name}, which is not supported; "
            "encrypt it with AES (openssl cms -encrypt -aes256)."
        )
    return found


def decrypt_cbc(
    encrypted: Iterator[bytes], cipher: ContentCipher, keys: list[bytes], *, nonce: bytes
) -> Iterator[bytes]:
    """Yield the content; the last chunk comes only if the padding is right. Raises DecryptionFailed."""
    if len(nonce) != cipher.block:
        raise DecryptionFailed(DAMAGED_HEADER)
    block, decryptor, buffer = cipher.block, None, bytearray(cipher.block)
    held = 0  # decrypted bytes at the start of the buffer: the last block, which may be padding
    for chunk in _gather(encrypted):
        if decryptor is None:
            decryptor = _start_cbc(cipher, keys, nonce, chunk[:block])
        if len(buffer) < len(chunk) + 2 * block:
            buffer += bytes(len(chunk) + 2 * block - len(buffer))
        with memoryview(buffer) as view:
            end = held + decryptor.update_into(chunk, view[held:])
            yield bytes(view[: max(end - block, 0)])
            held = min(end, block)
            view[:held] = bytes(view[end - held : end])
    if decryptor is None or held < block:
        raise DecryptionFailed(_TRUNCATED)
    try:
        decryptor.finalize()
    except ValueError:
        raise DecryptionFailed(_TRUNCATED) from None
    yield _remove_padding(bytes(buffer[:block]))


class GcmDecryptor:
    """Decrypts AES-GCM; nothing may be trusted before `verify`. `keys` are the possible keys."""

    def __init__(self, keys: list[bytes], nonce: bytes) -> None:
        if len(nonce) not in _GCM_NONCES:
            raise DecryptionFailed(DAMAGED_HEADER)
        self._keys = keys
        self._mode = GCM(nonce, min_tag_length=_GCM_TAGS.start)
        self._cipher: AEADDecryptionContext | None = None

    def decrypt(self, encrypted: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the content. Raises DecryptionFailed."""
        try:
            for chunk in _gather(encrypted):
                yield self._start(chunk[:16]).update(bytes(chunk))
        except ValueError:  # more than 64 GiB, which GCM cannot encrypt
            raise DecryptionFailed(DAMAGED) from None

    def verify(self, tag: bytes) -> None:
        """Check the content against its tag. Raises DecryptionFailed."""
        if len(tag) not in _GCM_TAGS:
            raise DecryptionFailed(DAMAGED)
        try:
            self._start(b"").finalize_with_tag(tag)
        except (InvalidTag, ValueError):
            raise DecryptionFailed(DAMAGED) from None

    def _start(self, beginning: bytes | bytearray) -> AEADDecryptionContext:
        if self._cipher is None:
            key = _choose_key(self._keys, AES, self._mode, bytes(beginning))
            self._cipher = Cipher(AES(key), self._mode).decryptor()
        return self._cipher


def _start_cbc(cipher: ContentCipher, keys: list[bytes], nonce: bytes, beginning: bytes | bytearray) -> CipherContext:
    if len(beginning) < cipher.block:
        raise DecryptionFailed(_TRUNCATED)
    algorithm = TripleDES if cipher.block == TripleDES.block_size // 8 else AES
    key = _choose_key(keys, algorithm, CBC(nonce), bytes(beginning))
    return Cipher(algorithm(key), CBC(nonce)).decryptor()


def _choose_key(keys: list[bytes], algorithm: type[BlockCipherAlgorithm], mode: CBC | GCM, beginning: bytes) -> bytes:
    """Return the key under which the content begins as a zip archive does; all keys have the right length."""
    if len(keys) == 1:
        return keys[0]
    for key in keys:
        if Cipher(algorithm(key), mode).decryptor().update(beginning).startswith(_ZIP_MAGICS):  # type: ignore[call-arg]
            return key
    raise DecryptionFailed(f"{NOT_A_RECIPIENT} If it should, pass its certificate too.")


def _remove_padding(block: bytes) -> bytes:
    size = block[-1]
    if not 1 <= size <= len(block) or block[-size:] != bytes((size,)) * size:
        raise DecryptionFailed(DAMAGED)
    return block[:-size]


def _gather(chunks: Iterator[bytes]) -> Iterator[bytes | bytearray]:
    """Yield the same bytes in chunks of `GATHER` or more, except for the last; none is empty."""
    pending = bytearray()
    for chunk in chunks:
        if not pending and len(chunk) >= GATHER:
            yield chunk
            continue
        pending += chunk
        if len(pending) >= GATHER:
            yield pending
            pending = bytearray()
    if pending:
        yield pending
