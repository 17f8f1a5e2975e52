"""The command `sluice decrypt`."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from sluice.connection import errors, print_lines, report_errors
from sluice.decrypt import OnRead, decrypt_file
from sluice.errors import DecryptionFailed, KeyLocked, SluiceError, to_sentence
from sluice.key_forms import read_passphrase
from sluice.recipients import RecipientKey, load_recipient_key
from sluice.to_der import convert_to_der

_FILE = {"exists": True, "dir_okay": False, "readable": True}
_Convert = Callable[[Path, OnRead], list[Path]]


def decrypt(
    files: Annotated[list[Path], typer.Argument(help="Files to decrypt (.zip.p7m), also in PEM or S/MIME.", **_FILE)],
    *,
    key: Annotated[Path | None, typer.Option(help="Your private key (PEM, DER or PKCS#12).", **_FILE)] = None,
    cert: Annotated[Path | None, typer.Option(help="The key's certificate (PEM or DER).", **_FILE)] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="File with the key's passphrase.", **_FILE)] = None,
    output: Annotated[Path, typer.Option(help="Folder to write to.", file_okay=False)] = Path(),
    keep_zip: Annotated[bool, typer.Option("--keep-zip", help="Keep the decrypted archive as well.")] = False,
    to_der: Annotated[bool, typer.Option("--to-der", help="Do not decrypt: rewrite the envelope as DER.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Decrypt and unpack exported files of any size.

    A file that cannot be decrypted leaves nothing behind. The certificate identifies your entry among the recipients;
    it is rarely needed. --to-der writes the same encrypted file with definite lengths, for programs that read only
    DER; it needs no key.
    """
    with report_errors():
        output.mkdir(parents=True, exist_ok=True)
        convert = _convert_to_der(output, force) if to_der else None
        if convert is None:
            convert = _decrypt(_require_key(key, cert, passphrase_file), output, keep_zip=keep_zip, force=force)
    written, failed = _convert_each(files, convert)
    with report_errors():
        # After the progress bars, which may share the terminal.
        print_lines(written)
    if failed:
        raise typer.Exit(1)


def read_recipient_key(key: Path, cert: Path | None, passphrase_file: Path | None) -> RecipientKey:
    """Read the key to decrypt with from files; its passphrase is asked for at a terminal if no file has it.

    Raises DecryptionFailed for a bad key, and OSError.
    """
    passphrase = read_passphrase(passphrase_file.read_bytes()) if passphrase_file else None
    certificate = cert.read_bytes() if cert else None
    try:
        return load_recipient_key(key.read_bytes(), passphrase, certificate)
    except KeyLocked:
        if sys.stdin is None or not sys.stdin.isatty():
            raise
    typed: str = typer.prompt(f"Passphrase of {key}", hide_input=True, err=True)
    return load_recipient_key(key.read_bytes(), typed.encode(), certificate)


def _require_key(key: Path | None, cert: Path | None, passphrase_file: Path | None) -> RecipientKey:
    if key is None:
        raise DecryptionFailed("A private key is required: name its file with --key.")
    return read_recipient_key(key, cert, passphrase_file)


def _decrypt(key: RecipientKey, output: Path, *, keep_zip: bool, force: bool) -> _Convert:
    return lambda file, on_read: decrypt_file(file, key, output, keep_zip=keep_zip, force=force, on_read=on_read)


def _convert_to_der(output: Path, force: bool) -> _Convert:
    return lambda file, on_read: [convert_to_der(file, output, force=force, on_read=on_read)]


def _convert_each(files: list[Path], convert: _Convert) -> tuple[list[Path], bool]:
    """Convert files and report those that fail; return what was written, and whether any failed."""
    written: list[Path] = []
    failed = False
    with _progress() as progress:
        for file in files:
            try:
                task = progress.add_task(file.name, total=file.stat().st_size)
                written += convert(file, partial(progress.advance, task))
            except (SluiceError, OSError) as error:
                failed = True
                errors.print(f"{file}: {to_sentence(error)}", style="red", markup=False)
    return written, failed


def _progress() -> Progress:
    """Return a progress display with a bar for each file; without a terminal it shows nothing."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=errors, disable=not errors.is_terminal, redirect_stdout=False)
