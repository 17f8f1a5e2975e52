"""A zip archive as a stream: plain members with data descriptors, each below 4 GiB (rule P7)."""

from collections.abc import Iterator
from datetime import datetime
from struct import pack
from typing import Protocol

from isal import isal_zlib
from zlib_ng import zlib_ng

from shared.events.values import Compression

MEMBER_LIMIT = 2**32 - 1
"""The largest raw or packed size in bytes that a plain (not zip64) member can declare."""

_LOCAL = b"PK\x03\x04"
_DESCRIPTOR = b"PK\x07\x08"
_CENTRAL = b"PK\x01\x02"
_END = b"PK\x05\x06"
_ZIP64_END = b"PK\x06\x06"
_ZIP64_LOCATOR = b"PK\x06\x07"
_FLAGS = 0x0808  # sizes are in a data descriptor; names are UTF-8
_DEFLATE = 8
_PLAIN, _ZIP64 = 20, 45  # "version needed": 2.0, and 4.5 for zip64
_MADE_BY_UNIX = 3 << 8
_OWNER_READS_AND_WRITES = 0o100600 << 16
_MAX_16, _MAX_32 = 0xFFFF, 0xFFFFFFFF


class _Deflate(Protocol):
    def compress(self, data: bytes | memoryview, /) -> bytes: ...

    def flush(self) -> bytes: ...


class ZipStream:
    """Builds an archive: `begin` a member, `write` to it, `begin` the next, `finish`; each call returns bytes to write.

    `fast` is ISA-L level 2, `small` is zlib-ng level 5. The same data in calls of the same sizes gives the same bytes:
    every member has the time `at`. `member_limit` is in bytes, raw and packed.
    """

    def __init__(self, at: datetime, compression: Compression = "fast", *, member_limit: int = MEMBER_LIMIT) -> None:
        self._dos_time = _to_dos_time(at)
        self._compression = compression
        self._member_limit = member_limit
        self._member: _Member | None = None
        self._central: list[bytes] = []
        self._offset = 0

    def has_room(self, size: int) -> bool:
        """Return whether the current member certainly has room for `size` raw bytes; an empty one has for any size."""
        member = self._member
        return member is not None and (member.raw_size == 0 or member.has_room(size, self._member_limit))

    def begin(self, name: str) -> bytes:
        """End the current member, if any, and begin the next. Raises OverflowError when the member passed 4 GiB."""
        ended = self._end_member()
        self._member = _Member(name.encode(), self._offset, self._create_deflate())
        header = _LOCAL + pack("<5H3L2H", _PLAIN, _FLAGS, _DEFLATE, *self._dos_time, 0, 0, 0, len(self._member.name), 0)
        self._offset += len(header) + len(self._member.name)
        return ended + header + self._member.name

    def write(self, data: bytes | memoryview) -> bytes:
        """Pack more content of the current member; the result may be empty. Raises ValueError without a member."""
        if self._member is None:
            raise ValueError("no member was begun")
        packed = self._member.pack(data)
        self._offset += len(packed)
        return packed

    def finish(self) -> bytes:
        """End the last member and return the rest of the archive. Raises OverflowError when it passed 4 GiB."""
        ended = self._end_member()
        central = b"".join(self._central)
        return ended + central + b"".join(_build_end_records(len(self._central), len(central), self._offset))

    def _end_member(self) -> bytes:
        member, self._member = self._member, None
        if member is None:
            return b""
        tail = member.end()
        if max(member.raw_size, member.packed_size) > MEMBER_LIMIT:
            raise OverflowError("a zip member passed 4 GiB")
        descriptor = _DESCRIPTOR + pack("<3L", member.crc, member.packed_size, member.raw_size)
        self._central.append(member.build_central_header(self._dos_time))
        self._offset += len(tail) + len(descriptor)
        return tail + descriptor

    def _create_deflate(self) -> _Deflate:
        if self._compression == "small":
            small: _Deflate = zlib_ng.compressobj(level=5, wbits=-15)
            return small
        fast: _Deflate = isal_zlib.compressobj(level=2, wbits=-15)
        return fast


class _Member:
    def __init__(self, name: bytes, offset: int, deflate: _Deflate) -> None:
        self.name = name
        self.raw_size = 0
        self.packed_size = 0
        self.crc = 0
        self._offset = offset
        self._deflate = deflate

    def has_room(self, size: int, limit: int) -> bool:
        # Deflate enlarges incompressible data by well below 1 %, and buffers far less than the 16 MiB kept free here.
        packed_at_most = self.packed_size + size + size // 128 + limit // 256
        return self.raw_size + size <= limit and packed_at_most <= limit

    def pack(self, data: bytes | memoryview) -> bytes:
        self.raw_size += len(data)
        self.crc = isal_zlib.crc32(data, self.crc)
        packed = self._deflate.compress(data)
        self.packed_size += len(packed)
        return packed

    def end(self) -> bytes:
        tail = self._deflate.flush()
        self.packed_size += len(tail)
        return tail

    def build_central_header(self, dos_time: tuple[int, int]) -> bytes:
        # A member needs zip64 only for an offset beyond 4 GiB; its local header stays plain even then.
        far = self._offset > _MAX_32
        extra = pack("<2HQ", 1, 8, self._offset) if far else b""
        version = _ZIP64 if far else _PLAIN
        fields = pack(
            "<6H3L5H2L",
            _MADE_BY_UNIX | version,
            version,
            _FLAGS,
            _DEFLATE,
            *dos_time,
            self.crc,
            self.packed_size,
            self.raw_size,
            len(self.name),
            len(extra),
            0,
            0,
            0,
            _OWNER_READS_AND_WRITES,
            _MAX_32 if far else self._offset,
        )
        return _CENTRAL + fields + self.name + extra


def _build_end_records(members: int, size: int, offset: int) -> Iterator[bytes]:
    if members > _MAX_16 or size > _MAX_32 or offset > _MAX_32:
        counts = (members, members, size, offset)
        yield _ZIP64_END + pack("<Q2H2L4Q", 44, _MADE_BY_UNIX | _ZIP64, _ZIP64, 0, 0, *counts)
        yield _ZIP64_LOCATOR + pack("<LQL", 0, offset + size, 1)
    declared = (min(members, _MAX_16), min(members, _MAX_16), min(size, _MAX_32), min(offset, _MAX_32))
    yield _END + pack("<4H2LH", 0, 0, *declared, 0)


def _to_dos_time(at: datetime) -> tuple[int, int]:
    """Return the MS-DOS time and date, which count from 1980 in steps of two seconds."""
    years = min(max(at.year - 1980, 0), 127)
    return at.hour << 11 | at.minute << 5 | at.second // 2, years << 9 | at.month << 5 | at.day
