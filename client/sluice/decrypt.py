"""Decrypts an artifact, verifies it and unpacks its records: all or nothing."""

import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sluice.ber import Readable
from sluice.cms import decrypt_chunks
from sluice.errors import DecryptionFailed, NotUnpackable, SluiceError
from sluice.recipients import RecipientKey
from sluice.text_forms import open_binary
from sluice.unzip import unpack
from sluice.unzip_stream import NotStreamable, unpack_stream

TEMPORARY_PREFIX = ".sluice-"

OnRead = Callable[[int], None]


def decrypt_file(
    artifact: Path,
    key: RecipientKey,
    output: Path,
    *,
    keep_zip: bool = False,
    force: bool = False,
    on_read: OnRead = lambda size: None,
) -> list[Path]:
    """Decrypt a `.zip.p7m` file, unpack it into the folder `output`, and return the paths of the files written.

    `keep_zip` keeps the archive as well; `force` replaces existing files; `on_read` is called with the number of bytes
    of each read. Raises DecryptionFailed for a bad file or key, and SluiceError if a file exists already; nothing is
    left in `output` then, except with `keep_zip` an archive that only another program unpacks. The archive is unpacked
    as it is decrypted, without being written; only one that cannot be unpacked in that way is.
    """
    task = _Task(artifact, key, output, force=force)
    kept = output / to_zip_name(artifact) if keep_zip else None
    if kept is not None:
        task.require_absent(kept.name)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=output) as temporary:
        # In the same folder, so that files are moved by renaming; only the owner has access to it.
        archive, unpacked = Path(temporary) / "archive", Path(temporary) / "unpacked"
        try:
            written = task.unpack_on_the_way(unpacked, archive if keep_zip else None, on_read)
        except NotStreamable:
            try:
                written = task.unpack_from_file(Path(temporary) / "again", archive)
            except NotUnpackable as error:
                if kept is None:
                    raise
                _move([(archive, kept)])
                raise DecryptionFailed(f"{error.reason}. It was kept as {kept}: unpack it with 7z x.") from None
        return _move([*((each, output / each.name) for each in written), *([(archive, kept)] if kept else [])])


def to_zip_name(artifact: Path) -> str:
    """Return the name of an artifact's archive: the artifact's without its last extension."""
    return artifact.stem if artifact.suffix == ".p7m" else f"{artifact.name}.zip"


@dataclass(frozen=True, slots=True)
class _Task:
    artifact: Path
    key: RecipientKey
    output: Path
    force: bool

    def unpack_on_the_way(self, folder: Path, archive: Path | None, on_read: OnRead) -> list[Path]:
        """Unpack while decrypting; the archive is written too where a path for it is given."""
        folder.mkdir()
        with self.artifact.open("rb", buffering=0) as source, closing(self._decrypt(source, on_read)) as chunks:
            if archive is None:
                return unpack_stream(chunks, folder, self.require_absent)
            with archive.open("wb") as target:
                return unpack_stream(_copy_to(target, chunks), folder, self.require_absent)

    def unpack_from_file(self, folder: Path, archive: Path) -> list[Path]:
        """Decrypt the archive into a file first."""
        folder.mkdir()
        with self.artifact.open("rb", buffering=0) as source, archive.open("wb") as target:
            for chunk in self._decrypt(source, lambda size: None):
                target.write(chunk)
        return unpack(archive, folder, self.require_absent)

    def require_absent(self, name: str) -> None:
        """Raise SluiceError if a file of that name exists and may not be replaced."""
        target = self.output / name
        if not self.force and target.exists():
            raise SluiceError(f"{target} already exists; --force replaces it.")

    def _decrypt(self, source: Readable, on_read: OnRead) -> Generator[bytes]:
        return decrypt_chunks(open_binary(_ObservedFile(source, on_read)), self.key)


def _copy_to(target: BinaryIO, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        target.write(chunk)
        yield chunk


def _move(files: list[tuple[Path, Path]]) -> list[Path]:
    """Move finished files to their places: all, or none of those that were not there before."""
    moved: list[Path] = []
    try:
        for source, target in files:
            existed = target.exists()
            source.replace(target)
            if not existed:
                moved.append(target)
    except OSError:
        for target in moved:
            target.unlink()
        raise
    return [target for _, target in files]


class _ObservedFile:
    """A file that reports each read."""

    def __init__(self, source: Readable, on_read: OnRead) -> None:
        self._source = source
        self._on_read = on_read

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._on_read(len(data))
        return data
