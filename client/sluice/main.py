"""The `sluice` command: each subcommand is a module of its own and is added here."""

import typer

from sluice.decrypt_command import decrypt

app = typer.Typer(name="sluice", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(decrypt)


@app.callback()
def sluice() -> None:
    """Sluice: scheduled, encrypted exports of contact history."""
