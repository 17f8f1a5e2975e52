"""The command `sluice pull`."""

import threading
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from sluice.connection import Token, TokenFile, Url, connected, errors, said
from sluice.decrypt_command import identity_of
from sluice.errors import SluiceError
from sluice.pull import RunFile, fetch, files_of, unpack_checked
from sluice.recipients import Identity

_FILE = {"exists": True, "dir_okay": False, "readable": True}


def pull(
    run: Annotated[UUID, typer.Argument(help="The run's id.", metavar="RUN")],
    url: Url,
    key: Annotated[Path | None, typer.Option(help="Your RSA private key (PEM); decrypts what came.", **_FILE)] = None,
    cert: Annotated[Path | None, typer.Option(help="Its certificate; finds you among the recipients.", **_FILE)] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="File with the key's passphrase.", **_FILE)] = None,
    output: Annotated[Path, typer.Option(help="Folder to write to.", file_okay=False)] = Path(),
    parallel: Annotated[int, typer.Option(help="Files to fetch at once.", min=1, max=32)] = 4,
    token_file: TokenFile = None,
    token: Token = None,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the encrypted files beside the records.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace records that exist.")] = False,
) -> None:
    """Fetch a run's files, check them against its manifest, decrypt and unpack them.

    Without --key the encrypted files are fetched and checked only. A pull that was cut off goes on where it was.
    """
    with said():
        identity = identity_of(key, cert, passphrase_file) if key else None
        output.mkdir(parents=True, exist_ok=True)
    with connected(url, token_file, token) as api:
        files = files_of(api, run)
        with _progress() as progress:
            bar = _TotalBar(progress, files)
            paths = fetch(api, files, output, parallel=parallel, on_bytes=bar.have)
    if identity is None:
        for path in paths:
            typer.echo(path)
    else:
        _unpack(list(zip(files, paths, strict=True)), identity, output, keep=keep, force=force)


def _unpack(fetched: list[tuple[RunFile, Path]], identity: Identity, output: Path, *, keep: bool, force: bool) -> None:
    failed = False
    for file, path in fetched:
        try:
            written = unpack_checked(path, file, identity, output, force=force)
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
    """Return one bar for all files; without a terminal it shows nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=errors, disable=not errors.is_terminal, redirect_stdout=False)


class _TotalBar:
    """Adds up what several threads have fetched."""

    def __init__(self, progress: Progress, files: list[RunFile]) -> None:
        self._progress = progress
        self._task = progress.add_task(f"{len(files)} files", total=sum(file.size for file in files))
        self._have: dict[str, int] = {}
        self._lock = threading.Lock()

    def have(self, name: str, size: int) -> None:
        """Show that of one file so many bytes are there."""
        with self._lock:
            self._have[name] = size
            self._progress.update(self._task, completed=sum(self._have.values()))
