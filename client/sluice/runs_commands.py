"""The commands `sluice runs ...` and `sluice watch`."""

import time
from typing import Annotated
from uuid import UUID

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from sluice.api import Api, Json, pause
from sluice.connection import AsJson, Token, TokenFile, Url, connected, console, duration_words, errors, show_table
from sluice.follow import follow

runs = typer.Typer(name="runs", no_args_is_help=True, help="The run log: list, show, cancel.")
_ENDED = {"succeeded", "failed", "cancelled", "skipped"}

RunId = Annotated[UUID, typer.Argument(help="The run's id.", metavar="RUN")]


@runs.command("list")
def list_runs(
    url: Url,
    job: Annotated[UUID | None, typer.Option(help="Only this job's runs.")] = None,
    state: Annotated[str | None, typer.Option(help="Only runs in this state.")] = None,
    limit: Annotated[int, typer.Option(help="How many, the newest first.", min=1, max=200)] = 20,
    token_file: TokenFile = None,
    token: Token = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    with connected(url, token_file, token) as api:
        found = api.get("/runs", job=job, state=state, limit=limit)["items"]
    if as_json:
        console.print_json(data=found)
        return
    head = ("run", "job", "state", "slot (UTC)", "took", "records", "files")
    show_table(head, ([run["id"], run["title"], standing(run), *_numbers(run)] for run in found))


def _numbers(run: Json) -> list[str]:
    took = "" if run["duration_seconds"] is None else duration_words(run["duration_seconds"])
    rows = "" if run["rows"] is None else f"{run['rows']:,}"
    return [minute(run["slot"]), took, rows, str(run["files"])]


@runs.command("show")
def show_run(run: RunId, url: Url, token_file: TokenFile = None, token: Token = None) -> None:
    """Print all that is known of a run, as JSON."""
    with connected(url, token_file, token) as api:
        console.print_json(data=api.get(f"/runs/{run}"))


@runs.command("cancel")
def cancel_run(run: RunId, url: Url, token_file: TokenFile = None, token: Token = None) -> None:
    """Ask for a run to be cancelled; `sluice watch` tells when it is."""
    with connected(url, token_file, token) as api:
        api.post(f"/runs/{run}/cancel")
    typer.echo(f"{run} is being cancelled.")


def watch(run: RunId, url: Url, token_file: TokenFile = None, token: Token = None) -> None:
    """Follow a run until it ends: a bar and the time left. Ends with status 0 only if the run succeeds."""
    with connected(url, token_file, token) as api:
        last = _watched(api, run)
    words = f": {last['message']}" if last.get("message") else ""
    typer.echo(f"{run} {last['state']}{words}")
    if last["state"] != "succeeded":
        raise typer.Exit(1)


def _watched(api: Api, run_id: UUID) -> Json:
    """Show a run's changes until it has ended; return it as it is then."""
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
            # The stream has ended. What came between two streams is not missed: the next begins at this version.
            time.sleep(pause(1))
            run = api.get(f"/runs/{run_id}")
        _show(bar, task, run)
        return run


def _show(bar: Progress, task: TaskID, run: Json) -> None:
    bar.update(task, completed=1.0 if run["state"] == "succeeded" else run["share"] or 0.0, left=standing(run))


def standing(run: Json) -> str:
    """Return a run's state in words; of a running one how far it is and the time left with its band."""
    if run["state"] != "running":
        return str(run["state"])
    words = "running" if run["share"] is None else f"{100 * run['share']:.0f} %"
    estimate = run["estimate"]
    if estimate is None:
        return words
    band = f"{duration_words(estimate['low'])} to {duration_words(estimate['high'])}"
    return f"{words}, about {duration_words(estimate['seconds'])} left ({band})"


def minute(instant: str | None) -> str:
    """Return an instant of the API to the minute."""
    return "" if instant is None else instant[:16].replace("T", " ")
