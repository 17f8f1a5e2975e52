"""The command `sluice pull`."""

import threading
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from sluice.connection import Token, TokenFile, Url, connect, errors, report_errors
from sluice.decrypt_command import read_recipient_key
from sluice.errors import SluiceError
from sluice.pull import RunFile, fetch, list_files, unpack_verified
from sluice.recipients import RecipientKey

_FILE = {"exists": True, "dir_okay": False, "readable": True}


def pull(
    run: Annotated[UUID, typer.Argument(help="The run's id.", metavar="RUN")],
    url: Url,
    *,
    key: Annotated[Path | None, typer.Option(help="Your RSA private key (PEM), to decrypt with.", **_FILE)] = None,
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
        with _progress() as progress:
            bar = _TotalBar(progress, files)
            paths = fetch(api, files, output, parallel=parallel, on_bytes=bar.update)
    if recipient_key is None:
        for path in paths:
            typer.echo(path)
    else:
        _unpack(list(zip(files, paths, strict=True)), recipient_key, output, keep=keep, force=force)


def _unpack(
    downloaded: list[tuple[RunFile, Path]], key: RecipientKey, output: Path, *, keep: bool, force: bool
) -> None:
    failed = False
    for file, path in downloaded:
        try:
            written = unpack_verified(path, file, key, output=output, force=force)
        except (SluiceError, OSError) as error:
            failed = True
            errors.print(f"{file.name}: {error}", style="red", markup=False)
            continue
        if not keep:
            path.unlink()
        for records in written:
            typer.echo(records)
    if failed:
        raise typer.Exit(1)


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
