"""Decrypts an artifact, verifies it and unpacks its records: all or nothing."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from sluice.ber import Readable
from sluice.cms import decrypt_chunks
from sluice.errors import SluiceError
from sluice.recipients import RecipientKey
from sluice.unzip import list_members, unpack


def decrypt_file(
    artifact: Path,
    key: RecipientKey,
    output: Path,
    *,
    keep_zip: bool = False,
    force: bool = False,
    on_read: Callable[[int], None] = lambda size: None,
) -> list[Path]:
    """Decrypt a `.zip.p7m` file, unpack it into the folder `output`, and return the paths of the files written.

    `keep_zip` keeps the archive as well; `force` replaces existing files; `on_read` is called with the number of bytes
    of each read. Raises DecryptionFailed for a bad file or key, and SluiceError if a file exists already; nothing is
    left in `output` then.
    """
    with tempfile.TemporaryDirectory(prefix=".sluice-", dir=output) as temporary:
        # In the same folder, so that files are moved by renaming; only the owner has access to it.
        archive = Path(temporary) / "archive"
        with artifact.open("rb") as source, archive.open("xb") as target:
            for chunk in decrypt_chunks(_ObservedFile(source, on_read), key):
                target.write(chunk)
        names = list_members(archive)
        kept = output / to_zip_name(artifact) if keep_zip else None
        if not force:
            _require_absent([output / name for name in names] + ([kept] if kept else []))
        unpacked = Path(temporary) / "unpacked"
        unpacked.mkdir()
        written = [path.replace(output / path.name) for path in unpack(archive, unpacked)]
        return [*written, archive.replace(kept)] if kept else written


def to_zip_name(artifact: Path) -> str:
    """Return the name of an artifact's archive: the artifact's without its last extension."""
    return artifact.stem if artifact.suffix == ".p7m" else f"{artifact.name}.zip"


def _require_absent(targets: list[Path]) -> None:
    for target in targets:
        if target.exists():
            raise SluiceError(f"{target} already exists; --force replaces it.")


class _ObservedFile:
    """A file that reports each read."""

    def __init__(self, source: Readable, on_read: Callable[[int], None]) -> None:
        self._source = source
        self._on_read = on_read

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._on_read(len(data))
        return data
