"""Reads BER (ITU-T X.690) from a stream: definite and indefinite lengths, in memory that does not grow with the
content.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sluice.errors import DecryptionFailed

CHUNK = 256 * 1024
_MAX_HEADER_BYTES = 8
_MAX_DEPTH = 16

OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
INTEGER = 0x02
SEQUENCE = 0x30
SET = 0x31
CONSTRUCTED = 0x20


@dataclass(frozen=True, slots=True)
class Header:
    """The start of an element: its first byte, and where its content ends; None for an indefinite length."""

    tag: int
    end: int | None

    @property
    def constructed(self) -> bool:
        """Whether the content is elements again."""
        return bool(self.tag & CONSTRUCTED)


class Source(Protocol):
    """Bytes from a file, or from anything else that can be read."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


class Reader:
    """A position in a stream of elements. Anything unexpected raises DecryptionFailed."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._buffer = b""
        self._at = 0
        self.position = 0

    def header(self, *expected: int) -> Header:
        """Read the start of the next element, which must have one of the expected first bytes."""
        header, _ = self._read_header()
        if header.tag not in expected:
            raise DecryptionFailed("This is not a CMS enveloped-data file (DER), or it is damaged.")
        return header

    def has_more(self, parent: Header) -> bool:
        """Say whether another element follows inside `parent`; if not, its end has been read."""
        if parent.end is not None:
            if self.position > parent.end:
                raise DecryptionFailed("The file is damaged: an element reaches beyond the one that holds it.")
            return self.position < parent.end
        if self._peek(2) != b"\0\0":
            return True
        self.exactly(2)
        return False

    def leave(self, parent: Header) -> None:
        """Read past the end of `parent`, in which nothing may be left."""
        if self.has_more(parent):
            raise DecryptionFailed("The file holds parts this program does not know, or it is damaged.")

    def element(self, *, limit: int = 1024 * 1024) -> bytes:
        """Return the next element whole, as it is written; at most `limit` bytes."""
        pieces: list[bytes] = []
        self._copy_element(pieces, self.position + limit, 0)
        return b"".join(pieces)

    def octets(self, header: Header) -> Iterator[bytes]:
        """Yield the content of an OCTET STRING whose header was read; it may be cut into OCTET STRINGs, which may be
        cut again.
        """
        open_elements = [header]
        while open_elements:
            present = open_elements[-1]
            if not present.constructed:
                yield from self._primitive(present)
                open_elements.pop()
            elif not self.has_more(present):
                open_elements.pop()
            elif len(open_elements) > _MAX_DEPTH:
                raise DecryptionFailed("The file is damaged: its content is nested too deep.")
            else:
                open_elements.append(self.header(OCTET_STRING, OCTET_STRING | CONSTRUCTED))

    def exactly(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        pieces = []
        while size:
            piece = self._some(size)
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _primitive(self, header: Header) -> Iterator[bytes]:
        while header.end is not None and self.position < header.end:
            yield self._some(min(header.end - self.position, CHUNK))

    def _copy_element(self, pieces: list[bytes], limit: int, depth: int) -> None:
        header, written = self._read_header()
        pieces.append(written)
        if depth > _MAX_DEPTH or self.position > limit or (header.end or 0) > limit:
            raise DecryptionFailed("The file is damaged: a part of its head is too large.")
        if header.end is not None:
            pieces.append(self.exactly(header.end - self.position))
            return
        while self.has_more(header):
            self._copy_element(pieces, limit, depth + 1)
        pieces.append(b"\0\0")

    def _read_header(self) -> tuple[Header, bytes]:
        written = self.exactly(2)
        tag, length = written[0], written[1]
        if tag & 0x1F == 0x1F:
            raise DecryptionFailed("This is not a CMS enveloped-data file (DER), or it is damaged.")
        if length < 0x80:
            return Header(tag, self.position + length), written
        if length == 0x80:
            if not tag & CONSTRUCTED:
                raise DecryptionFailed("The file is damaged: a length is missing.")
            return Header(tag, None), written
        if length - 0x80 > _MAX_HEADER_BYTES:
            raise DecryptionFailed("The file is damaged: a length makes no sense.")
        more = self.exactly(length - 0x80)
        return Header(tag, self.position + int.from_bytes(more, "big")), written + more

    def _some(self, size: int) -> bytes:
        if not self._fill(1):
            raise DecryptionFailed("The file ends too early: it was cut short.")
        piece = self._buffer[self._at : self._at + size]
        self._at += len(piece)
        self.position += len(piece)
        return piece

    def _peek(self, size: int) -> bytes:
        if not self._fill(size):
            raise DecryptionFailed("The file ends too early: it was cut short.")
        return self._buffer[self._at : self._at + size]

    def _fill(self, size: int) -> bool:
        while len(self._buffer) - self._at < size:
            more = self._source.read(CHUNK)
            if not more:
                return False
            self._buffer = self._buffer[self._at :] + more
            self._at = 0
        return True
