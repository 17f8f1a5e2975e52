"""The commands `sluice jobs ...` and `sluice apply`."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from sluice.api import Api, Json
from sluice.apply import JobDeclaration, apply_job, read_declarations
from sluice.connection import AsJson, Token, TokenFile, Url, connect, console, errors, print_table, report_errors
from sluice.destinations import (
    DestinationDeclaration,
    apply_destination,
    read_destinations,
    resolve_destinations,
)
from sluice.errors import SluiceError
from sluice.runs_commands import describe_state, format_minute

jobs = typer.Typer(name="jobs", no_args_is_help=True, help="Export jobs: list, show, run, suspend, resume, delete.")

JobId = Annotated[UUID, typer.Argument(help="The job's id.", metavar="JOB")]


@jobs.command("list")
def list_jobs(
    url: Url,
    *,
    search: Annotated[str | None, typer.Option(help="Part of the title.")] = None,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the jobs."""
    with connect(url, token_file, token) as api:
        found = list(api.items("/jobs", search=search, sort="title"))
    if as_json:
        console.print_json(data=found)
        return
    head = ("job", "title", "type", "schedule", "state", "latest run", "next run (UTC)")
    fields = ("id", "title", "type", "schedule_words", "state")
    print_table(
        head,
        (
            [*(job[name] for name in fields), _describe_latest(job["latest_run"]), format_minute(job["next_run_at"])]
            for job in found
        ),
    )


@jobs.command("show")
def show_job(job: JobId, url: Url, *, token_file: TokenFile = None, token: Token = None) -> None:
    """Print a job as JSON."""
    with connect(url, token_file, token) as api:
        console.print_json(data=api.get(f"/jobs/{job}"))


@jobs.command("run")
def run_job(job: JobId, url: Url, *, token_file: TokenFile = None, token: Token = None) -> None:
    """Run a job now, without regard to its schedule, and print the run's id."""
    with connect(url, token_file, token) as api:
        typer.echo(api.post(f"/jobs/{job}/run")["run_id"])


@jobs.command("suspend")
def suspend_job(job: JobId, url: Url, *, token_file: TokenFile = None, token: Token = None) -> None:
    """Suspend a job: no further runs are scheduled; a run in progress continues."""
    _change_state(url, token_file, token, path=f"/jobs/{job}/suspend")


@jobs.command("resume")
def resume_job(job: JobId, url: Url, *, token_file: TokenFile = None, token: Token = None) -> None:
    """Resume a suspended job; it runs next at its next scheduled time."""
    _change_state(url, token_file, token, path=f"/jobs/{job}/resume")


@jobs.command("delete")
def delete_job(job: JobId, url: Url, *, token_file: TokenFile = None, token: Token = None) -> None:
    """Delete a job; its runs and files are kept until their own retention ends."""
    with connect(url, token_file, token) as api:
        api.delete(f"/jobs/{job}", etag=f'"{api.get(f"/jobs/{job}")["version"]}"')
    typer.echo(f"{job} is deleted.")


def apply(
    files: Annotated[list[Path], typer.Argument(help="Jobs as JSON or TOML.", exists=True, dir_okay=False)],
    url: Url,
    *,
    token_file: TokenFile = None,
    token: Token = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would be done, and do nothing.")] = False,
) -> None:
    """Create the jobs and destinations that files declare, and change those that differ.

    A job is found by its title, a destination by its name. A file declares one job, or lists of `jobs` and
    `destinations`, with the fields of the API. Fields that it does not mention are left unchanged.
    """
    with report_errors():
        declarations = [each for file in files for each in read_declarations(file)]
        destinations = [each for file in files for each in read_destinations(file)]
        titles = [*(each.title for each in declarations), *(each.name for each in destinations)]
        if duplicates := sorted({title for title in titles if titles.count(title) > 1}):
            raise SluiceError(f"Declared more than once: {', '.join(duplicates)}.")
    with connect(url, token_file, token) as api:
        done = _apply_destinations(api, destinations, dry_run=dry_run)
        # Those that a dry run would create have no id yet.
        new = {each.name: each.name for each in destinations} if dry_run else {}
        if not _apply_jobs(api, declarations, new, dry_run=dry_run) or not done:
            raise typer.Exit(1)


def _apply_destinations(api: Api, declarations: list[DestinationDeclaration], *, dry_run: bool) -> bool:
    existing = list(api.items("/destinations")) if declarations else []
    outcomes = [
        _report(each.name, partial(apply_destination, api, each, existing, dry_run=dry_run), dry_run=dry_run)
        for each in declarations
    ]
    return all(outcomes)


def _apply_jobs(api: Api, declarations: list[JobDeclaration], new: Json, *, dry_run: bool) -> bool:
    existing = list(api.items("/jobs"))
    names = any("delivery" in each.fields for each in declarations)
    ids = new | ({each["name"]: each["id"] for each in api.items("/destinations")} if names else {})

    def apply_one(declaration: JobDeclaration) -> str:
        resolved = replace(declaration, fields=resolve_destinations(declaration.fields, ids))
        return apply_job(api, resolved, existing, dry_run=dry_run)

    outcomes = [_report(each.title, partial(apply_one, each), dry_run=dry_run) for each in declarations]
    return all(outcomes)


def _report(name: str, apply_declaration: Callable[[], str], *, dry_run: bool) -> bool:
    """Apply a declaration, print what was done or why it was not, and return whether it was."""
    try:
        outcome = apply_declaration()
    except SluiceError as error:
        errors.print(f"{name}: {error}", style="red", markup=False)
        return False
    typer.echo(f"{name}: {outcome}{' (dry run)' if dry_run else ''}")
    return True


def _change_state(url: str, token_file: Path | None, token: str | None, *, path: str) -> None:
    with connect(url, token_file, token) as api:
        job = api.post(path)
    typer.echo(f"{job['title']} is {job['state']}.")


def _describe_latest(run: Json | None) -> str:
    return "" if run is None else describe_state(run)
