"""Reads BER (ITU-T X.690) from a stream, with definite and indefinite lengths, in constant memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sluice.asn1 import CONSTRUCTED, OCTET_STRING
from sluice.errors import DecryptionFailed

CHUNK = 256 * 1024
_MAX_HEADER_BYTES = 8
_MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class ElementHeader:
    """The start of an element: its first byte, and the position at which its content ends; None if indefinite."""

    tag: int
    end: int | None

    @property
    def is_constructed(self) -> bool:
        """Whether the content consists of elements."""
        return bool(self.tag & CONSTRUCTED)


class Readable(Protocol):
    """A file, or anything else from which bytes can be read."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none at the end."""
        ...


class BerReader:
    """A position in a stream of elements. Every method raises DecryptionFailed where the stream is not as expected."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._buffer = b""
        self._at = 0
        self.position = 0

    def read_header(self, *expected: int) -> ElementHeader:
        """Read the header of the next element, which must begin with one of the expected bytes."""
        header, _ = self._next_header()
        if header.tag not in expected:
            raise DecryptionFailed("This is not a CMS enveloped-data file, or it is damaged.")
        return header

    def has_more(self, parent: ElementHeader) -> bool:
        """Return whether another element follows inside `parent`; if not, the end of `parent` is read."""
        if parent.end is not None:
            if self.position > parent.end:
                raise DecryptionFailed("The file is damaged: an element extends beyond its parent.")
            return self.position < parent.end
        if self._peek(2) != b"\0\0":
            return True
        self.read_exactly(2)
        return False

    def read_end(self, parent: ElementHeader) -> None:
        """Read the end of `parent`, in which no element may be left."""
        if self.has_more(parent):
            raise DecryptionFailed("The file has content that is not supported, or it is damaged.")

    def read_element(self, *, limit: int = 1024 * 1024) -> bytes:
        """Return the encoding of the next element, at most `limit` bytes."""
        pieces: list[bytes] = []
        self._copy_element(pieces, self.position + limit, 0)
        return b"".join(pieces)

    def read_octets(self, header: ElementHeader) -> Iterator[bytes]:
        """Yield the content of an OCTET STRING whose header was read; it may be nested OCTET STRINGs of any depth."""
        open_elements = [header]
        while open_elements:
            current = open_elements[-1]
            if not current.is_constructed:
                yield from self._read_primitive(current)
                open_elements.pop()
            elif not self.has_more(current):
                open_elements.pop()
            elif len(open_elements) > _MAX_DEPTH:
                raise DecryptionFailed("The file is damaged: its content is nested too deeply.")
            else:
                open_elements.append(self.read_header(OCTET_STRING, OCTET_STRING | CONSTRUCTED))

    def read_exactly(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        pieces = []
        while size:
            piece = self._read_some(size)
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _read_primitive(self, header: ElementHeader) -> Iterator[bytes]:
        while header.end is not None and self.position < header.end:
            yield self._read_some(min(header.end - self.position, CHUNK))

    def _copy_element(self, pieces: list[bytes], limit: int, depth: int) -> None:
        header, encoded = self._next_header()
        pieces.append(encoded)
        if depth > _MAX_DEPTH or self.position > limit or (header.end or 0) > limit:
            raise DecryptionFailed("The file is damaged: an element of its header is too large.")
        if header.end is not None:
            pieces.append(self.read_exactly(header.end - self.position))
            return
        while self.has_more(header):
            self._copy_element(pieces, limit, depth + 1)
        pieces.append(b"\0\0")

    def _next_header(self) -> tuple[ElementHeader, bytes]:
        encoded = self.read_exactly(2)
        tag, length = encoded[0], encoded[1]
        if tag & 0x1F == 0x1F:
            raise DecryptionFailed("This is not a CMS enveloped-data file, or it is damaged.")
        if length < 0x80:
            return ElementHeader(tag, self.position + length), encoded
        if length == 0x80:
            if not tag & CONSTRUCTED:
                raise DecryptionFailed("The file is damaged: a length is missing.")
            return ElementHeader(tag, None), encoded
        if length - 0x80 > _MAX_HEADER_BYTES:
            raise DecryptionFailed("The file is damaged: a length is invalid.")
        more = self.read_exactly(length - 0x80)
        return ElementHeader(tag, self.position + int.from_bytes(more, "big")), encoded + more

    def _read_some(self, size: int) -> bytes:
        if not self._fill(1):
            raise DecryptionFailed("The file is truncated.")
        piece = self._buffer[self._at : self._at + size]
        self._at += len(piece)
        self.position += len(piece)
        return piece

    def _peek(self, size: int) -> bytes:
        if not self._fill(size):
            raise DecryptionFailed("The file is truncated.")
        return self._buffer[self._at : self._at + size]

    def _fill(self, size: int) -> bool:
        while len(self._buffer) - self._at < size:
            more = self._source.read(CHUNK)
            if not more:
                return False
            self._buffer = self._buffer[self._at :] + more
            self._at = 0
        return True
