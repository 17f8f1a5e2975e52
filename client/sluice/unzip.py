"""Unpacks a zip archive member by member, in constant memory; member names are not trusted."""

import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from sluice.errors import DecryptionFailed

_CHUNK = 1024 * 1024


def list_members(archive: Path) -> list[str]:
    """Return the members' names in order.

    Raises DecryptionFailed if the file is not a zip archive, or a name is not that of a file without a folder.
    """
    with _open(archive) as opened:
        names = [member.filename for member in opened.infolist()]
    for name in names:
        if PurePosixPath(name).name != name or "\\" in name or name in {"", ".."} or names.count(name) > 1:
            raise DecryptionFailed("The archive has a file name that is unsafe to unpack.")
    return names


def unpack(archive: Path, folder: Path) -> list[Path]:
    """Unpack all members into `folder`, checking each CRC, and return their paths. Raises DecryptionFailed."""
    names = list_members(archive)
    with _open(archive) as opened:
        for name in names:
            with opened.open(name) as packed, (folder / name).open("xb") as unpacked:
                shutil.copyfileobj(packed, unpacked, _CHUNK)
    return [folder / name for name in names]


@contextmanager
def _open(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        raise DecryptionFailed("The file was decrypted, but its content is not a complete zip archive.") from None
