"""CMS files as text, read as the binary stream that they encode: PEM, and S/MIME as mail clients write it."""

import binascii
import codecs
from email.parser import BytesHeaderParser
from typing import Final

from sluice.ber import CHUNK, Readable
from sluice.errors import DecryptionFailed

_MAX_HEADERS: Final = 64 * 1024
_WHITESPACE: Final = b" \t\r\n"
_NOT_CMS: Final = "This is not a CMS enveloped-data file, or it is damaged."
_MEDIA_TYPES: Final = {"application/pkcs7-mime", "application/x-pkcs7-mime"}


def open_binary(source: Readable) -> Readable:
    """Return the binary form of a file that may be binary, PEM or S/MIME. Raises DecryptionFailed, also while reading.

    Only text has to be recognised: the binary form begins with a SEQUENCE (0x30).
    """
    head = source.read(CHUNK)
    if head[:1] == b"\x30":
        return _Rest(head, source)
    text = head.removeprefix(codecs.BOM_UTF8).lstrip(_WHITESPACE)
    if text.startswith(b"-----BEGIN "):
        return _find_pem_body(text, source)
    if b":" in text.split(b"\n", 1)[0]:
        return _find_mime_body(text, source)
    if not head:
        raise DecryptionFailed("The file is empty.")
    raise DecryptionFailed(_NOT_CMS)


def _find_pem_body(text: bytes, source: Readable) -> Readable:
    label, _, body = text.partition(b"\n")
    if not any(each in label for each in (b"BEGIN CMS-----", b"BEGIN PKCS7-----", b"BEGIN PKCS #7 ")):
        raise DecryptionFailed("This PEM file is no encrypted file: it must begin with BEGIN CMS or BEGIN PKCS7.")
    return _Base64Reader(body, source)


def _find_mime_body(text: bytes, source: Readable) -> Readable:
    at, size = min(
        ((text.find(blank), len(blank)) for blank in (b"\n\n", b"\r\n\r\n") if blank in text), default=(-1, 0)
    )
    if not 0 < at <= _MAX_HEADERS:
        raise DecryptionFailed(_NOT_CMS)
    headers = BytesHeaderParser().parsebytes(text[:at] + b"\n\n")
    media_type = headers.get_content_type()
    if media_type not in _MEDIA_TYPES:
        raise DecryptionFailed(
            f"This message is not encrypted: its type is {media_type!a}. Save its attachment smime.p7m and open that."
        )
    body = text[at + size :]
    match str(headers.get("Content-Transfer-Encoding", "7bit")).strip().lower():
        case "base64":
            return _Base64Reader(body, source)
        case "binary" | "8bit" | "7bit":
            return _Rest(body, source)
        case other:
            raise DecryptionFailed(f"The message is encoded as {other[:40]!r}; base64 and binary can be read.")


class _Rest:
    """What was read of a file already, then the rest of it."""

    def __init__(self, head: bytes, source: Readable) -> None:
        self._head = head
        self._source = source

    def read(self, size: int, /) -> bytes:
        if not self._head:
            return self._source.read(size)
        piece, self._head = self._head[:size], self._head[size:]
        return piece


class _Base64Reader:
    """The bytes that base64 encodes, up to the line that ends it or to the end of the file."""

    def __init__(self, head: bytes, source: Readable) -> None:
        self._source = _Rest(head, source)
        self._pending = b""
        self._ended = False

    def read(self, size: int, /) -> bytes:
        while not self._ended:
            self._read_more(size)
            whole = len(self._pending) if self._ended else len(self._pending) // 4 * 4
            if whole:
                encoded, self._pending = self._pending[:whole], self._pending[whole:]
                try:
                    return binascii.a2b_base64(encoded, strict_mode=True)
                except binascii.Error:
                    raise DecryptionFailed("The file is damaged: its base64 cannot be read.") from None
        return b""

    def _read_more(self, size: int) -> None:
        more = self._source.read(size)
        text, mark, _ = more.partition(b"-")  # of -----END, or of a boundary; base64 has no hyphen
        self._ended = bool(mark) or not more
        self._pending += text.translate(None, _WHITESPACE)
