"""The `sluice` command, put together from the modules of its subcommands."""

import sys

import typer

from sluice.certificates_commands import certificates
from sluice.connection import discard_output, errors
from sluice.decrypt_command import decrypt
from sluice.jobs_commands import apply, jobs
from sluice.pull_command import pull
from sluice.runs_commands import runs, watch

app = typer.Typer(name="sluice", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(jobs)
app.command()(apply)
app.add_typer(certificates)
app.add_typer(runs)
app.command()(watch)
app.command()(pull)
app.command()(decrypt)


@app.callback()
def sluice() -> None:
    """Sluice: scheduled, encrypted exports of contact history.

    Every command but `decrypt` and `certificates new` needs Sluice's address (--url or SLUICE_URL) and an API key
    (--token-file, SLUICE_TOKEN_FILE or SLUICE_TOKEN).
    """


def run() -> None:
    """Run the command `sluice`; a standard output that is full is reported in a sentence, with exit status 1."""
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        discard_output()
        errors.print(f"sluice: Standard output cannot be written: {error.strerror}.", style="red", markup=False)
        sys.exit(1)
