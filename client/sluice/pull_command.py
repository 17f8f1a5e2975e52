"""The command `sluice pull`."""

import threading
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from sluice.api import Api
from sluice.connection import Token, TokenFile, Url, connect, errors, print_lines, report_errors
from sluice.decrypt_command import read_recipient_key
from sluice.errors import SluiceError, to_sentence
from sluice.pull import RunFile, fetch, list_files
from sluice.pulled_records import PullFolder
from sluice.recipients import RecipientKey

_FILE = {"exists": True, "dir_okay": False, "readable": True}


def pull(
    run: Annotated[UUID, typer.Argument(help="The run's id.", metavar="RUN")],
    url: Url,
    *,
    key: Annotated[Path | None, typer.Option(help="Your private key, to decrypt with.", **_FILE)] = None,
    cert: Annotated[Path | None, typer.Option(help="The key's certificate (PEM or DER).", **_FILE)] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="File with the key's passphrase.", **_FILE)] = None,
    output: Annotated[Path, typer.Option(help="Folder to write to.", file_okay=False)] = Path(),
    parallel: Annotated[int, typer.Option(help="Files to download at a time.", min=1, max=32)] = 4,
    token_file: TokenFile = None,
    token: Token = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the encrypted files as well.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing records.")] = False,
) -> None:
    """Download a run's files, verify them against its manifest, decrypt and unpack them.

    Without --key, the encrypted files are downloaded and verified only. An interrupted pull is resumed.
    """
    with report_errors():
        recipient_key = read_recipient_key(key, cert, passphrase_file) if key else None
        output.mkdir(parents=True, exist_ok=True)
    with connect(url, token_file, token) as api:
        files = list_files(api, run)
        if recipient_key is None:
            print_lines(_fetch(api, files, output, parallel))
            return
        folder = PullFolder(output, run)
        finished = {file.name: found for file in files if (found := folder.find_records(file)) and not force}
        missing = [file for file in files if file.name not in finished]
        folder.begin(missing)
        paths = _fetch(api, missing, folder.unfinished, parallel)
    failed = _unpack(list(zip(missing, paths, strict=True)), recipient_key, folder, keep=keep, force=force)
    with report_errors():
        print_lines(each for file in files for each in finished.get(file.name) or ())
    if failed:
        raise typer.Exit(1)
    with report_errors():
        folder.end()


def _fetch(api: Api, files: list[RunFile], folder: Path, parallel: int) -> list[Path]:
    with _progress() as progress:
        bar = _TotalBar(progress, files)
        return fetch(api, files, folder, parallel=parallel, on_bytes=bar.update)


def _unpack(
    downloaded: list[tuple[RunFile, Path]], key: RecipientKey, folder: PullFolder, *, keep: bool, force: bool
) -> bool:
    """Unpack files, print the paths of their records, report those that fail, and return whether any did."""
    failed = False
    for file, path in downloaded:
        try:
            print_lines(folder.unpack(path, file, key, force=force))
            if keep:
                folder.keep(path)
        except (SluiceError, OSError) as error:
            failed = True
            errors.print(f"{file.name}: {to_sentence(error)}", style="red", markup=False)
    return failed


def _progress() -> Progress:
    """Return a progress display with one bar for all files; without a terminal it shows nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=errors, disable=not errors.is_terminal, redirect_stdout=False)


class _TotalBar:
    """A progress bar for files that several threads download."""

    def __init__(self, progress: Progress, files: list[RunFile]) -> None:
        self._progress = progress
        self._task = progress.add_task(f"{len(files)} files", total=sum(file.size for file in files))
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()

    def update(self, name: str, size: int) -> None:
        """Show that `size` bytes of a file have been downloaded."""
        with self._lock:
            self._sizes[name] = size
            self._progress.update(self._task, completed=sum(self._sizes.values()))
