"""The records of a run's files in the user's folder: complete and verified, or not there (rule A4).

Everything unfinished lies in one hidden folder beside them, from which an interrupted pull is resumed, and which is
removed when all is done.
"""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Final
from uuid import UUID

from sluice.decrypt import TEMPORARY_PREFIX, decrypt_file
from sluice.errors import SluiceError
from sluice.pull import RunFile
from sluice.recipients import RecipientKey

_CHUNK: Final = 1024 * 1024


class PullFolder:
    """A user's folder, and the hidden folder of one run's unfinished files within it."""

    def __init__(self, output: Path, run_id: UUID) -> None:
        self._output = output
        self.unfinished = output / f"{TEMPORARY_PREFIX}{run_id}"

    def begin(self, files: Iterable[RunFile]) -> None:
        """Create the folder of unfinished files, unless an earlier pull has left it. Raises OSError.

        Encrypted files that are in the user's folder are not downloaded again.
        """
        self.unfinished.mkdir(mode=0o700, exist_ok=True)
        for file in files:
            downloaded, place = self._output / file.name, self.unfinished / file.name
            if downloaded.is_file() and not place.exists():
                with suppress(OSError):  # without hard links, the file is downloaded again
                    place.hardlink_to(downloaded)

    def end(self) -> None:
        """Remove the folder of unfinished files."""
        shutil.rmtree(self.unfinished)

    def find_records(self, file: RunFile) -> list[Path] | None:
        """Return the records of a file that an earlier pull has finished; None unless they are what it lists."""
        first = self._output / file.member
        found = [first, *sorted(self._output.glob(f"{escape(first.stem)}_[0-9][0-9][0-9][0-9].jsonl"))]
        if not first.is_file() or sum(path.stat().st_size for path in found) != file.bytes_raw:
            return None
        return found if _count(found) == (file.rows, file.bytes_raw) else None

    def unpack(self, path: Path, file: RunFile, key: RecipientKey, *, force: bool = False) -> list[Path]:
        """Decrypt a downloaded file, verify its records against the manifest, move them into place; return their paths.

        Raises SluiceError when the file cannot be decrypted, differs from the manifest, or would replace files that
        are not its own; nothing of it is in the user's folder then.
        """
        unpacked, moving = (self.unfinished / f"{file.name}.{suffix}" for suffix in ("records", "moving"))
        # Of several files of records, an earlier pull may have moved some: those are its own.
        is_resumed = moving.exists()
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir()
        try:
            records = decrypt_file(path, key, unpacked)
            _require_listed(records, file)
            targets = [self._output / each.name for each in records]
            if not (force or is_resumed):
                _require_absent(targets)
        except SluiceError:
            shutil.rmtree(unpacked)
            raise
        moving.touch()
        for source, target in zip(records, targets, strict=True):
            source.replace(target)
        return targets

    def keep(self, path: Path) -> None:
        """Move an encrypted file beside the records."""
        path.replace(self._output / path.name)


def _require_absent(targets: list[Path]) -> None:
    for target in targets:
        if target.exists():
            raise SluiceError(f"{target} already exists; --force replaces it.")


def _require_listed(records: list[Path], file: RunFile) -> None:
    rows, size = _count(records)
    if (rows, size) != (file.rows, file.bytes_raw):
        raise SluiceError(
            f"has {rows} records in {size} bytes, but the manifest lists {file.rows} in {file.bytes_raw}."
        )


def _count(paths: Iterable[Path]) -> tuple[int, int]:
    """Return the records and the bytes in files."""
    rows, size = 0, 0
    for path in paths:
        with path.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                rows += chunk.count(b"\n")
                size += len(chunk)
    return rows, size
