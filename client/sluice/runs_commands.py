"""The commands `sluice runs ...` and `sluice watch`."""

import time
from typing import Annotated
from uuid import UUID

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from sluice.api import Api, Json, retry_delay
from sluice.connection import AsJson, Token, TokenFile, Url, connect, console, errors, format_duration, print_table
from sluice.follow import follow

runs = typer.Typer(name="runs", no_args_is_help=True, help="The run log: list, show, cancel.")
_ENDED = {"succeeded", "failed", "cancelled", "skipped"}

RunId = Annotated[UUID, typer.Argument(help="The run's id.", metavar="RUN")]


@runs.command("list")
def list_runs(
    url: Url,
    *,
    job: Annotated[UUID | None, typer.Option(help="Only this job's runs.")] = None,
    state: Annotated[str | None, typer.Option(help="Only runs in this state.")] = None,
    limit: Annotated[int, typer.Option(help="The most runs to list.", min=1, max=200)] = 20,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    with connect(url, token_file, token) as api:
        found = api.get("/runs", job_id=job, state=state, limit=limit)["items"]
    if as_json:
        console.print_json(data=found)
        return
    head = ("run", "job", "state", "scheduled for (UTC)", "took", "records", "files")
    print_table(head, ([run["id"], run["title"], describe_state(run), *_numbers(run)] for run in found))


def _numbers(run: Json) -> list[str]:
    took = "" if run["duration_seconds"] is None else format_duration(run["duration_seconds"])
    rows = "" if run["rows"] is None else f"{run['rows']:,}"
    return [format_minute(run["slot"]), took, rows, str(run["files"])]


@runs.command("show")
def show_run(run: RunId, url: Url, *, token_file: TokenFile = None, token: Token = None) -> None:
    """Print a run as JSON."""
    with connect(url, token_file, token) as api:
        console.print_json(data=api.get(f"/runs/{run}"))


@runs.command("cancel")
def cancel_run(run: RunId, url: Url, *, token_file: TokenFile = None, token: Token = None) -> None:
    """Request the cancellation of a run; `sluice watch` shows when it has ended."""
    with connect(url, token_file, token) as api:
        api.post(f"/runs/{run}/cancel")
    typer.echo(f"{run} is being cancelled.")


def watch(run: RunId, url: Url, *, token_file: TokenFile = None, token: Token = None) -> None:
    """Follow a run until it ends, with a progress bar and the time remaining. Exits with 0 only if the run succeeds."""
    with connect(url, token_file, token) as api:
        ended = _follow_to_end(api, run)
    reason = f": {ended['message']}" if ended.get("message") else ""
    typer.echo(f"{run} {ended['state']}{reason}")
    if ended["state"] != "succeeded":
        raise typer.Exit(1)


def _follow_to_end(api: Api, run_id: UUID) -> Json:
    """Show a run's progress until it has ended, and return the ended run."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=errors, disable=not errors.is_terminal, redirect_stdout=False) as bar:
        run = api.get(f"/runs/{run_id}")
        task = bar.add_task(run["title"], total=1.0, left="")
        while run["state"] not in _ENDED:
            _show(bar, task, run)
            for change in follow(api, run):
                run = change
                _show(bar, task, run)
                if run["state"] in _ENDED:
                    return run
            # The stream has ended. The next one begins at this version, so no change is missed.
            time.sleep(retry_delay(1))
            run = api.get(f"/runs/{run_id}")
        _show(bar, task, run)
        return run


def _show(bar: Progress, task: TaskID, run: Json) -> None:
    bar.update(task, completed=1.0 if run["state"] == "succeeded" else run["progress"] or 0.0, left=describe_state(run))


def describe_state(run: Json) -> str:
    """Return a run's state in words; for a running one, its progress and the time remaining with its band."""
    if run["state"] != "running":
        return str(run["state"])
    progress = "running" if run["progress"] is None else f"{100 * run['progress']:.0f} %"
    estimate = run["estimate"]
    if estimate is None:
        return progress
    band = f"{format_duration(estimate['low'])} to {format_duration(estimate['high'])}"
    return f"{progress}, about {format_duration(estimate['seconds'])} left ({band})"


def format_minute(instant: str | None) -> str:
    """Return an instant of the API to the minute, or nothing for None."""
    return "" if instant is None else instant[:16].replace("T", " ")
