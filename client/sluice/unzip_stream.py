"""Unpacks a zip archive while it arrives, so that it never has to be written; what it unpacks is checked twice.

Members are read from their local headers. The directory at the end of the archive must then say the same of them: it
is what every other program unpacks by. An archive that cannot be read in this way (NotStreamable) may still be a sound
one, which `sluice.unzip` reads from a file.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from isal import igzip_lib, isal_zlib

from sluice.background_writer import BackgroundWriter, Write
from sluice.unzip import decode_name, require_safe_name

_LOCAL: Final = b"PK\x03\x04"
_DESCRIPTOR: Final = b"PK\x07\x08"
_CENTRAL: Final = b"PK\x01\x02"
_ZIP64_END: Final = b"PK\x06\x06"
_ZIP64_LOCATOR: Final = b"PK\x06\x07"
_END: Final = b"PK\x05\x06"
_HAS_DESCRIPTOR: Final = 0x0008
_UTF_8: Final = 0x0800
_FLAGS: Final = _HAS_DESCRIPTOR | _UTF_8 | 0x0006  # the last two: how hard deflate tried
_STORED, _DEFLATED = 0, 8
_ZIP64_EXTRA: Final = 1
_MAX_32: Final = 0xFFFFFFFF
_MAX_16: Final = 0xFFFF
# As much as stays in a processor's cache: twice as much of either inflates at four fifths of the speed.
_INPUT: Final = 32 * 1024
_OUTPUT: Final = 128 * 1024
_INFLATE_ERROR: Final[type[Exception]] = isal_zlib.error  # type: ignore[assignment]  # the stub says: an instance


class NotStreamable(Exception):
    """The archive is damaged, or in a form that cannot be unpacked while it arrives."""


@dataclass(frozen=True, slots=True)
class _UnpackedMember:
    """A member: what the directory must repeat. Sizes and the offset are in bytes."""

    name: bytes
    crc: int
    packed_size: int
    raw_size: int
    offset: int


def unpack_stream(chunks: Iterator[bytes], folder: Path, on_member: Callable[[str], None]) -> list[Path]:
    """Unpack all members into `folder` and return their paths.

    `on_member` is called with each name before it is written. Raises NotStreamable, DecryptionFailed for an unsafe
    name, and what `chunks` and `on_member` raise; files that were written stay then.
    """
    stream = _Stream(chunks)
    members: list[_UnpackedMember] = []
    names: list[str] = []
    with BackgroundWriter() as writer:
        # The directory follows the last member; an empty archive consists of the directory's end alone.
        while (signature := stream.read(4)) == _LOCAL:
            offset = stream.position - 4
            header = _read_local_header(stream)
            name = decode_name(header.name, is_utf_8=bool(header.flags & _UTF_8))
            require_safe_name(name, names)
            on_member(name)
            names.append(name)
            with writer.open(folder / name) as write:
                members.append(_unpack_member(stream, header, offset, write=write))
    _read_directory(stream, members, signature)
    return [folder / name for name in names]


@dataclass(frozen=True, slots=True)
class _LocalHeader:
    flags: int
    method: int
    crc: int
    packed_size: int
    raw_size: int
    name: bytes
    is_zip64: bool


class _Stream:
    """The archive's bytes, with the number of those that were read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = filter(None, chunks)
        self._pending = memoryview(b"")
        self.position = 0

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes."""
        pieces = []
        while size:
            pieces.append(self.read_some(size))
            size -= len(pieces[-1])
        return b"".join(pieces)

    def read_some(self, limit: int) -> memoryview:
        """Return at least one byte and at most `limit`."""
        if not self._pending:
            self._pending = memoryview(self._next())
        piece, self._pending = self._pending[:limit], self._pending[limit:]
        self.position += len(piece)
        return piece

    def unread(self, data: bytes) -> None:
        """Put bytes back that were read last."""
        self._pending = memoryview(data + self._pending)
        self.position -= len(data)

    def require_end(self) -> None:
        """Read the source to its end, which verifies it; nothing may be left."""
        if self._pending or any(self._chunks):
            raise NotStreamable("something follows the archive")

    def _next(self) -> bytes:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise NotStreamable("the archive is incomplete")
        return chunk


def _read_local_header(stream: _Stream) -> _LocalHeader:
    """Read what follows the signature of a local file header (APPNOTE 4.3.7)."""
    _, flags, method, _, _, crc, packed, raw, name_size, extra_size = struct.unpack("<5H3L2H", stream.read(26))
    name, extra = stream.read(name_size), stream.read(extra_size)
    if flags & ~_FLAGS or method not in {_STORED, _DEFLATED} or (method == _STORED and flags & _HAS_DESCRIPTOR):
        raise NotStreamable("the archive uses another method")
    wide = _find_zip64(extra)
    if wide is not None and not flags & _HAS_DESCRIPTOR:
        raw, packed = _widen((raw, packed), wide)
    return _LocalHeader(flags, method, crc, packed, raw, name, is_zip64=wide is not None)


def _unpack_member(stream: _Stream, header: _LocalHeader, offset: int, *, write: Write) -> _UnpackedMember:
    start = stream.position
    unpack: Iterator[bytes | memoryview] = (
        _inflate(stream) if header.method == _DEFLATED else _copy(stream, header.packed_size)
    )
    crc = raw_size = 0
    for piece in unpack:
        crc = isal_zlib.crc32(piece, crc)
        raw_size += len(piece)
        write(piece)
    found = _UnpackedMember(header.name, crc, stream.position - start, raw_size, offset)
    declared = _read_descriptor(stream, header) if header.flags & _HAS_DESCRIPTOR else header
    if (found.crc, found.packed_size, found.raw_size) != (declared.crc, declared.packed_size, declared.raw_size):
        raise NotStreamable("a member is not what its header declares")
    return found


def _inflate(stream: _Stream) -> Iterator[bytes]:
    inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    try:
        while not inflate.eof:
            piece = inflate.decompress(stream.read_some(_INPUT) if inflate.needs_input else b"", _OUTPUT)
            if piece:
                yield piece
    except _INFLATE_ERROR:
        raise NotStreamable("a member cannot be inflated") from None
    stream.unread(inflate.unused_data)


def _copy(stream: _Stream, size: int) -> Iterator[memoryview]:
    while size:
        piece = stream.read_some(min(size, _OUTPUT))
        size -= len(piece)
        yield piece


def _read_descriptor(stream: _Stream, header: _LocalHeader) -> _LocalHeader:
    """Read a data descriptor (APPNOTE 4.3.9); its signature is optional."""
    first = stream.read(4)
    crc = stream.read(4) if first == _DESCRIPTOR else first
    packed, raw = struct.unpack("<2Q", stream.read(16)) if header.is_zip64 else struct.unpack("<2L", stream.read(8))
    return replace(header, crc=int.from_bytes(crc, "little"), packed_size=packed, raw_size=raw)


def _read_directory(stream: _Stream, members: list[_UnpackedMember], signature: bytes) -> None:
    """Read the rest of the archive, which must list exactly these members. Raises NotStreamable."""
    for member in members:
        if signature != _CENTRAL or _read_central_header(stream) != member:
            raise NotStreamable("the directory lists something else")
        signature = stream.read(4)
    if signature == _ZIP64_END:
        stream.read(int.from_bytes(stream.read(8), "little") & _MAX_16)
        signature = stream.read(4)
    if signature == _ZIP64_LOCATOR:
        stream.read(16)
        signature = stream.read(4)
    if signature != _END:
        raise NotStreamable("the directory has no end")
    disk, first_disk, count, total, _, _, comment = struct.unpack("<4H2LH", stream.read(18))
    expected = min(len(members), _MAX_16)
    if (disk, first_disk, count, total) != (0, 0, expected, expected):
        raise NotStreamable("the directory's end declares something else")
    stream.read(comment)
    stream.require_end()


def _read_central_header(stream: _Stream) -> _UnpackedMember:
    """Read what follows the signature of a directory entry (APPNOTE 4.3.12)."""
    fields = struct.unpack("<6H3L5H2L", stream.read(42))
    crc, packed, raw, name_size, extra_size, comment_size = fields[6:12]
    name, extra, _ = stream.read(name_size), stream.read(extra_size), stream.read(comment_size)
    raw, packed, offset = _widen((raw, packed, fields[15]), _find_zip64(extra) or b"")
    return _UnpackedMember(name, crc, packed, raw, offset)


def _find_zip64(extra: bytes) -> bytes | None:
    """Return the content of the zip64 extra field (APPNOTE 4.5.3), None if there is none."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<2H", extra)
        if kind == _ZIP64_EXTRA:
            return extra[4 : 4 + size]
        extra = extra[4 + size :]
    return None


def _widen(values: tuple[int, ...], wide: bytes) -> tuple[int, ...]:
    """Return the values of which those that do not fit into 32 bits stand in a zip64 extra field, in order."""
    widened = []
    for value in values:
        if value == _MAX_32 and len(wide) >= 8:
            widened.append(int.from_bytes(wide[:8], "little"))
            wide = wide[8:]
        else:
            widened.append(value)
    return tuple(widened)
