"""Unpacks a zip archive member by member, in constant memory; member names are not trusted."""

import errno
import lzma
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from sluice.errors import DecryptionFailed, NotUnpackable

_CHUNK: Final = 1024 * 1024
_MAX_NAME_BYTES: Final = 255
_MAX_END_BYTES: Final = 22 + 0xFFFF
_IN_ZIP64: Final = 0xFFFF
_ENCRYPTED: Final = 0x0001
_UNSAFE: Final = "The archive has a file name that is unsafe to unpack."
_DAMAGED: Final = "The file was decrypted, but its content is not a complete zip archive."


def unpack(archive: Path, folder: Path, on_member: Callable[[str], None]) -> list[Path]:
    """Unpack all members into `folder`, checking each CRC, and return their paths.

    `on_member` is called with each name before any is written. Raises DecryptionFailed if the file is not a sound zip
    archive, or a name is not that of a file without a folder; NotUnpackable if another program may unpack it.
    """
    with _open(archive) as opened:
        names: list[str] = []
        if _read_member_count(archive) not in {len(opened.infolist()), _IN_ZIP64}:
            # zipfile does not compare them, and would unpack what is left of a damaged directory.
            raise DecryptionFailed(_DAMAGED)
        for member in opened.infolist():
            if member.flag_bits & _ENCRYPTED:
                raise NotUnpackable("The archive inside the file is protected with a password")
            require_safe_name(member.filename, names)
            on_member(member.filename)
            names.append(member.filename)
        for name in names:
            with opened.open(name) as packed, (folder / name).open("xb") as unpacked:
                shutil.copyfileobj(packed, unpacked, _CHUNK)
    return [folder / name for name in names]


def require_safe_name(name: str, used: Container[str]) -> None:
    """Raise DecryptionFailed unless a member's name is that of a file without a folder, which no other member has."""
    is_plain = PurePosixPath(name).name == name and name not in {"", ".", ".."} and "\\" not in name
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        size = _MAX_NAME_BYTES + 1
    if not is_plain or not name.isprintable() or size > _MAX_NAME_BYTES or name in used:
        raise DecryptionFailed(_UNSAFE)


def decode_name(name: bytes, *, is_utf_8: bool) -> str:
    """Return a member's name, as the archive's flag says that it is encoded. Raises DecryptionFailed."""
    try:
        return name.decode("utf-8" if is_utf_8 else "cp437")
    except UnicodeDecodeError:
        raise DecryptionFailed(_UNSAFE) from None


def _read_member_count(archive: Path) -> int:
    """Return the number of members that the directory's end declares (APPNOTE 4.3.16)."""
    with archive.open("rb") as opened:
        opened.seek(max(archive.stat().st_size - _MAX_END_BYTES, 0))
        end = opened.read()
    at = end.rfind(b"PK\x05\x06")
    return int.from_bytes(end[at + 10 : at + 12], "little")


@contextmanager
def _open(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except NotImplementedError:
        raise NotUnpackable("The archive inside the file uses a method that is not supported") from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        EOFError,
        ValueError,  # also a name that is not in the encoding that its flag declares
        IndexError,
        OverflowError,
        RuntimeError,
    ):
        raise DecryptionFailed(_DAMAGED) from None
    except OSError as error:
        # bz2 reports damage without a number; a place before the file's start is an invalid argument.
        if error.errno in {None, errno.EINVAL}:
            raise DecryptionFailed(_DAMAGED) from None
        raise
