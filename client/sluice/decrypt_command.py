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
from sluice.recipients import RecipientKey, load_recipient_key

_FILE = {"exists": True, "dir_okay": False, "readable": True}


def decrypt(
    files: Annotated[list[Path], typer.Argument(help="Files to decrypt (.zip.p7m).", **_FILE)],
    *,
    key: Annotated[Path, typer.Option(help="Your RSA private key (PEM).", **_FILE)],
    cert: Annotated[Path | None, typer.Option(help="The key's certificate (PEM or DER).", **_FILE)] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="File with the key's passphrase.", **_FILE)] = None,
    output: Annotated[Path, typer.Option(help="Folder to write to.", file_okay=False)] = Path(),
    keep_zip: Annotated[bool, typer.Option("--keep-zip", help="Keep the decrypted archive as well.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Decrypt and unpack exported files of any size.

    A file that cannot be decrypted leaves nothing behind. The certificate identifies your entry among the recipients;
    it is rarely needed.
    """
    errors = Console(stderr=True)
    failed = False
    written: list[Path] = []
    try:
        recipient_key = read_recipient_key(key, cert, passphrase_file)
        output.mkdir(parents=True, exist_ok=True)
    except (SluiceError, OSError) as error:
        errors.print(f"sluice: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    with _progress(errors) as progress:
        for file in files:
            task = progress.add_task(file.name, total=file.stat().st_size)
            try:
                on_read = _advance(progress, task)
                written += decrypt_file(file, recipient_key, output, keep_zip=keep_zip, force=force, on_read=on_read)
            except (SluiceError, OSError) as error:
                failed = True
                errors.print(f"{file}: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
    # After the progress bars, which may share the terminal.
    for path in written:
        typer.echo(path)
    if failed:
        raise typer.Exit(1)


def read_recipient_key(key: Path, cert: Path | None, passphrase_file: Path | None) -> RecipientKey:
    """Read the key to decrypt with from files. Raises DecryptionFailed for a bad key, and OSError."""
    passphrase = passphrase_file.read_bytes().rstrip(b"\r\n") if passphrase_file else None
    return load_recipient_key(key.read_bytes(), passphrase, cert.read_bytes() if cert else None)


def _progress(console: Console) -> Progress:
    """Return a progress display with a bar for each file; without a terminal it shows nothing."""
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
