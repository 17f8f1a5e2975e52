"""Short ASN.1 structures (ITU-T X.690) as trees: read from BER, however odd, and written as DER.

The structures come from files that nothing has authenticated: depth and size are bounded, and every fault is one error.
"""

from collections.abc import Iterator
from dataclasses import dataclass

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30
SET = 0x31
CONSTRUCTED = 0x20
_STRINGS = {0x23, 0x24, 0x2C, 0x33, 0x34, 0x36, 0x3A, 0x3C, 0x3E}
_MAX_DEPTH = 24
_MAX_LENGTH_BYTES = 8


class Asn1Error(Exception):
    """A structure that cannot be read."""


@dataclass(frozen=True, slots=True)
class Node:
    """An element: its first byte, and its content, or the elements of which it consists.

    An element of definite length whose content is no sequence of elements has no children, only content.
    """

    tag: int
    content: bytes = b""
    children: tuple["Node", ...] = ()

    def __getitem__(self, index: int) -> "Node":
        """Return a child. Raises Asn1Error when there is none."""
        try:
            return self.children[index]
        except IndexError:
            raise Asn1Error("an element is missing") from None

    def require(self, tag: int) -> "Node":
        """Return the element itself. Raises Asn1Error when it begins with another byte."""
        if self.tag != tag:
            raise Asn1Error("an element is not of the expected type")
        return self

    def find(self, tag: int) -> "Node | None":
        """Return the first child that begins with the byte `tag`."""
        return next((each for each in self.children if each.tag == tag), None)

    def encode(self) -> bytes:
        """Return the element in DER: definite lengths, strings in one piece, sets in order."""
        if not self.children:
            return build_header(self.tag, len(self.content)) + self.content
        if self.tag in _STRINGS:
            content = b"".join(each.content for each in self.leaves())
            return build_header(self.tag & ~CONSTRUCTED, len(content)) + content
        parts = [each.encode() for each in self.children]
        content = b"".join(sorted(parts) if self.tag == SET else parts)
        return build_header(self.tag, len(content)) + content

    def leaves(self) -> Iterator["Node"]:
        """Yield the elements without children, depth first."""
        if not self.children:
            yield self
        for each in self.children:
            yield from each.leaves()

    @property
    def octets(self) -> bytes:
        """The content of a string, also of one in pieces."""
        return b"".join(each.content for each in self.leaves()) if self.children else self.content

    @property
    def bits(self) -> bytes:
        """The content of a BIT STRING of whole bytes. Raises Asn1Error for another."""
        if self.tag != BIT_STRING or self.content[:1] != b"\0":
            raise Asn1Error("a bit string is not one of whole bytes")
        return self.content[1:]

    @property
    def dotted(self) -> str:
        """An OBJECT IDENTIFIER in dotted form. Raises Asn1Error for anything else."""
        content = self.require(OBJECT_IDENTIFIER).content
        numbers, value = [], 0
        for byte in content:
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                numbers.append(value)
                value = 0
        if not numbers or content[-1] & 0x80:
            raise Asn1Error("an object identifier is incomplete")
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def parse(data: bytes) -> Node:
    """Return the first element in `data`. Raises Asn1Error."""
    return parse_first(data)[0]


def parse_first(data: bytes) -> tuple[Node, bytes]:
    """Return the first element in `data`, and what follows it. Raises Asn1Error."""
    element, end = _parse(data, 0, len(data), depth=0)
    return element, data[end:]


def build_header(tag: int, size: int) -> bytes:
    """Return the start of an element in DER."""
    if size < 0x80:
        return bytes((tag, size))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length


def build(tag: int, *contents: bytes) -> bytes:
    """Return an element in DER with these encoded elements, or bytes, as its content."""
    content = b"".join(contents)
    return build_header(tag, len(content)) + content


def _parse(data: bytes, at: int, limit: int, *, depth: int) -> tuple[Node, int]:
    """Return the element at a position, and the position after it."""
    if depth > _MAX_DEPTH or limit - at < 2:
        raise Asn1Error("an element is incomplete, or nested too deeply")
    tag, length = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:
        raise Asn1Error("a tag has more than one byte")
    at += 2
    if length == 0x80:
        if not tag & CONSTRUCTED:
            raise Asn1Error("a length is missing")
        return _parse_indefinite(data, tag, at, limit=limit, depth=depth)
    if length > 0x80:
        more = length - 0x80
        if more > _MAX_LENGTH_BYTES or limit - at < more:
            raise Asn1Error("a length is invalid")
        length = int.from_bytes(data[at : at + more], "big")
        at += more
    end = at + length
    if end > limit:
        raise Asn1Error("an element is incomplete")
    content = data[at:end]
    if not tag & CONSTRUCTED:
        return Node(tag, content), end
    try:
        return Node(tag, content, tuple(_parse_children(data, at, end, depth=depth + 1))), end
    except Asn1Error:
        return Node(tag, content), end


def _parse_children(data: bytes, at: int, end: int, *, depth: int) -> Iterator[Node]:
    while at < end:
        child, at = _parse(data, at, end, depth=depth)
        yield child


def _parse_indefinite(data: bytes, tag: int, at: int, *, limit: int, depth: int) -> tuple[Node, int]:
    children, start = [], at
    while data[at : at + 2] != b"\0\0":
        child, at = _parse(data, at, limit, depth=depth + 1)
        children.append(child)
    if at + 2 > limit:
        raise Asn1Error("an element is incomplete")
    return Node(tag, data[start:at], tuple(children)), at + 2
