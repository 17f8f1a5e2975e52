"""The streaming BER reader: what it reads and what it rejects."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.asn1 import OCTET_STRING, SEQUENCE
from sluice.ber import BerReader
from sluice.errors import DecryptionFailed

CONSTRUCTED_OCTETS = 0x24


class Trickle:
    """A source that returns a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._source = BytesIO(data)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._source.read(min(size, self._step))


def octets(data: bytes) -> bytes:
    reader = BerReader(BytesIO(data))
    return b"".join(reader.read_octets(reader.read_header(OCTET_STRING, CONSTRUCTED_OCTETS)))


def definite(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 128 + len(length))) + length + content


def indefinite(tag: int, content: bytes) -> bytes:
    return bytes((tag, 0x80)) + content + b"\0\0"


@given(pieces=st.lists(st.binary(max_size=300), max_size=6), step=st.integers(1, 9))
def test_P2_an_octet_string_may_be_split_in_every_way(pieces: list[bytes], step: int) -> None:
    inner = b"".join(definite(OCTET_STRING, piece) for piece in pieces)
    nested = indefinite(CONSTRUCTED_OCTETS, inner)
    for data in (definite(CONSTRUCTED_OCTETS, inner), nested, definite(CONSTRUCTED_OCTETS, nested + nested)):
        reader = BerReader(Trickle(data, step))
        found = b"".join(reader.read_octets(reader.read_header(CONSTRUCTED_OCTETS)))
        assert found in {b"".join(pieces), b"".join(pieces) * 2}
        assert reader.position == len(data)


@given(content=st.binary(max_size=200), step=st.integers(1, 9))
def test_P2_an_element_is_returned_as_it_was_encoded(content: bytes, step: int) -> None:
    element = indefinite(SEQUENCE, definite(SEQUENCE, content) + indefinite(SEQUENCE, definite(OCTET_STRING, content)))
    assert BerReader(Trickle(element + b"rest", step)).read_element() == element


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"\x04\x05abc", "truncated"),
        (b"\x04\x80abc\0\0", "a length is missing"),
        (b"\x04\x89" + bytes(9), "a length is invalid"),
        (b"\x1f\x01a", "not a CMS"),
        (b"\x30\x03abc", "not a CMS"),
        (b"\x24\x03\x04\x05a", "truncated"),
        (b"\x24\x03\x04\x05abcde", "extends beyond"),
        (b"\x24\x80" * 40, "nested too deeply"),
    ],
)
def test_P2_a_damaged_octet_string_is_rejected(data: bytes, reason: str) -> None:
    with pytest.raises(DecryptionFailed, match=reason):
        octets(data)


@pytest.mark.parametrize("element", [definite(SEQUENCE, bytes(2000)), b"\x30\x84\x7f\xff\xff\xff", b"\x30\x80" * 50])
def test_P8_the_header_is_never_read_without_a_limit(element: bytes) -> None:
    with pytest.raises(DecryptionFailed, match="too large"):
        BerReader(BytesIO(element)).read_element(limit=1000)
