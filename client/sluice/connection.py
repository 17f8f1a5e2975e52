"""The options and the output that commands share: address, API key, tables, errors."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sluice.api import Api
from sluice.errors import SluiceError, to_sentence

Url = Annotated[
    str, typer.Option("--url", envvar="SLUICE_URL", help="Sluice's address.", metavar="URL", show_default=False)
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", envvar="SLUICE_TOKEN_FILE", help="File with an API key.", exists=True, dir_okay=False),
]
# A hidden option: other users of a machine can read the arguments of its processes.
Token = Annotated[str | None, typer.Option("--token", envvar="SLUICE_TOKEN", hidden=True)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

_UNLIMITED_WIDTH = 10_000

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def connect(url: str, token_file: Path | None, token: str | None) -> Iterator[Api]:
    """Connect to the API. Errors are reported as by `report_errors`."""
    with report_errors():
        key = token_file.read_text(encoding="utf-8").strip() if token_file else token
        if not key:
            raise SluiceError("An API key is required: name a file with --token-file, or set SLUICE_TOKEN.")
        with Api(url, key) as api:
            yield api


@contextmanager
def report_errors() -> Iterator[None]:
    """Report an error that the user can act on as a line on standard error, and exit with status 1."""
    try:
        yield
    except (SluiceError, OSError) as error:
        errors.print(f"sluice: {to_sentence(error)}", style="red", markup=False)
        raise typer.Exit(1) from None


def print_lines(lines: Iterable[object]) -> None:
    """Print lines for other programs to read, at once. Raises SluiceError if standard output does not take them."""
    try:
        for line in lines:
            typer.echo(line)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        discard_output()
        raise SluiceError(f"Standard output cannot be written: {error.strerror}.") from None


def discard_output() -> None:
    """Let what is still to be printed vanish, as standard output does not take it and Python would complain."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, as wide as the terminal, or untruncated where there is none."""
    table = Table(box=None)
    for number, name in enumerate(head):
        # The first column is an id, which is useless when truncated.
        table.add_column(name, no_wrap=number == 0 or not console.is_terminal)
    for row in rows:
        table.add_row(*row)
    (console if console.is_terminal else Console(width=_UNLIMITED_WIDTH, highlight=False)).print(table)


def format_duration(seconds: float) -> str:
    """Return a duration in a suitable unit: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
