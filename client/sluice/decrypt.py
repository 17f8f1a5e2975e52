"""Turns an artifact into the records it holds: decrypt, check, unpack; all or nothing."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from sluice.ber import Source
from sluice.cms import decrypted
from sluice.errors import SluiceError
from sluice.recipients import Identity
from sluice.unzip import member_names, unpack


def decrypt_file(
    artifact: Path,
    identity: Identity,
    output: Path,
    *,
    keep_zip: bool = False,
    force: bool = False,
    on_read: Callable[[int], None] = lambda size: None,
) -> list[Path]:
    """Decrypt one `.zip.p7m` file and unpack it into the folder `output`; return the files written there.

    `keep_zip` also keeps the archive. `on_read` is told the bytes of each read. Raises SluiceError (DecryptionFailed
    for a bad file or key, or if a file is in the way and `force` is not given); then nothing is left in `output`.
    """
    with tempfile.TemporaryDirectory(prefix=".sluice-", dir=output) as temporary:
        # In the same folder, so that files come out by renaming; its mode lets only the owner look in.
        archive = Path(temporary) / "archive"
        with artifact.open("rb") as source, archive.open("xb") as target:
            for chunk in decrypted(_Watched(source, on_read), identity):
                target.write(chunk)
        names = member_names(archive)
        kept = output / zip_name(artifact) if keep_zip else None
        if not force:
            _refuse_to_overwrite([output / name for name in names] + ([kept] if kept else []))
        unpacked = Path(temporary) / "unpacked"
        unpacked.mkdir()
        written = [path.replace(output / path.name) for path in unpack(archive, unpacked)]
        return [*written, archive.replace(kept)] if kept else written


def zip_name(artifact: Path) -> str:
    """Return the archive's name: the artifact's without its last extension."""
    return artifact.stem if artifact.suffix == ".p7m" else f"{artifact.name}.zip"


def _refuse_to_overwrite(targets: list[Path]) -> None:
    for target in targets:
        if target.exists():
            raise SluiceError(f"{target} exists already; --force replaces it.")


class _Watched:
    """A file whose reads are told."""

    def __init__(self, source: Source, on_read: Callable[[int], None]) -> None:
        self._source = source
        self._on_read = on_read

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._on_read(len(data))
        return data
