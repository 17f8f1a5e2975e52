"""The command `sluice decrypt`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from sluice.decrypt import decrypt_file
from sluice.errors import SluiceError
from sluice.recipients import Identity, load_identity

_FILE = {"exists": True, "dir_okay": False, "readable": True}


def decrypt(
    files: Annotated[list[Path], typer.Argument(help="Files to decrypt (.zip.p7m).", **_FILE)],
    key: Annotated[Path, typer.Option(help="Your RSA private key (PEM).", **_FILE)],
    cert: Annotated[Path | None, typer.Option(help="Its certificate; finds you among the recipients.", **_FILE)] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="File with the key's passphrase.", **_FILE)] = None,
    output: Annotated[Path, typer.Option(help="Folder to write to.", file_okay=False)] = Path(),
    *,
    keep_zip: Annotated[bool, typer.Option("--keep-zip", help="Keep the decrypted archive too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Decrypt and unpack exported files of any size.

    Nothing is left behind for a file that fails.
    """
    errors = Console(stderr=True)
    failed = False
    written: list[Path] = []
    try:
        identity = identity_of(key, cert, passphrase_file)
        output.mkdir(parents=True, exist_ok=True)
    except (SluiceError, OSError) as error:
        errors.print(f"sluice: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    with _progress(errors) as progress:
        for file in files:
            task = progress.add_task(file.name, total=file.stat().st_size)
            try:
                on_read = _advance(progress, task)
                written += decrypt_file(file, identity, output, keep_zip=keep_zip, force=force, on_read=on_read)
            except (SluiceError, OSError) as error:
                failed = True
                errors.print(f"{file}: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
    # After the bars, which may share a terminal with it.
    for path in written:
        typer.echo(path)
    if failed:
        raise typer.Exit(1)


def identity_of(key: Path, cert: Path | None, passphrase_file: Path | None) -> Identity:
    """Return who decrypts, from files. Raises SluiceError and OSError."""
    passphrase = passphrase_file.read_bytes().rstrip(b"\r\n") if passphrase_file else None
    return load_identity(key.read_bytes(), passphrase, cert.read_bytes() if cert else None)


def _progress(console: Console) -> Progress:
    """Return a bar for each file; without a terminal it shows nothing."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal, redirect_stdout=False)


def _advance(progress: Progress, task: TaskID) -> Callable[[int], None]:
    return lambda size: progress.advance(task, size)
