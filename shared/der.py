"""DER values: as much of ASN.1 as is needed to look into bytes that no library accepts as a whole."""

from typing import NamedTuple

_LONGEST_LENGTH = 4


class Header(NamedTuple):
    """Where a value lies: its tag, and where its content begins and ends; the end may lie beyond the bytes."""

    tag: int
    start: int
    end: int


def read_header(data: bytes, at: int) -> Header | None:
    """Return the header of the value that begins at a position, or None if none with a definite length does."""
    if at + 2 > len(data):
        return None
    first = data[at + 1]
    if first < 0x80:
        return Header(data[at], at + 2, at + 2 + first)
    count = first & 0x7F
    if not 1 <= count <= _LONGEST_LENGTH or at + 2 + count > len(data):
        return None
    start = at + 2 + count
    return Header(data[at], start, start + int.from_bytes(data[at + 2 : start]))


def read_children(data: bytes, parent: Header) -> list[Header]:
    """Return the headers of the values within a constructed value, up to the first that cannot be read."""
    children, at, end = [], parent.start, min(parent.end, len(data))
    while at < end and (child := read_header(data, at)) is not None and child.end <= end:
        children.append(child)
        at = child.end
    return children


def encode_value(tag: int, content: bytes) -> bytes:
    """Return a value with a definite length."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content
