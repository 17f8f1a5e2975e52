"""Which Sluice a command speaks with: the options that all of them share."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sluice.api import Api
from sluice.errors import SluiceError

Url = Annotated[
    str, typer.Option("--url", envvar="SLUICE_URL", help="Address of Sluice.", metavar="URL", show_default=False)
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", envvar="SLUICE_TOKEN_FILE", help="File with an API key.", exists=True, dir_okay=False),
]
# Not an option of its own in anybody's hands: what stands in an argument list can be read by other users.
Token = Annotated[str | None, typer.Option("--token", envvar="SLUICE_TOKEN", hidden=True)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

_UNCUT = 10_000

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def connected(url: str, token_file: Path | None, token: str | None) -> Iterator[Api]:
    """Give the API; what goes wrong is said in a line, and ends the command with status 1."""
    with said():
        key = token_file.read_text(encoding="utf-8").strip() if token_file else token
        if not key:
            raise SluiceError("Give an API key: a file's name in --token-file, or the key in SLUICE_TOKEN.")
        with Api(url, key) as api:
            yield api


@contextmanager
def said() -> Iterator[None]:
    """Say errors that a person can act on in a line, and end with status 1."""
    try:
        yield
    except (SluiceError, OSError) as error:
        errors.print(f"sluice: {error}", style="red", markup=False)
        raise typer.Exit(1) from None


def show_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: as wide as the terminal, and uncut where a program reads it."""
    table = Table(box=None)
    for number, name in enumerate(head):
        # The first is an id: of no use when it is cut.
        table.add_column(name, no_wrap=number == 0 or not console.is_terminal)
    for row in rows:
        table.add_row(*row)
    (console if console.is_terminal else Console(width=_UNCUT, highlight=False)).print(table)


def duration_words(seconds: float) -> str:
    """Return a length of time in the greatest unit that tells it: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
