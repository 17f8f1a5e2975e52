"""The page of a job: its settings in words, its next and last runs, its files, its certificates and every action."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from job_api.commands import run_once
from job_api.domain import find_refusals
from job_api.history_client import is_unavailable
from job_api.pages.jobs.job_descriptions import explain_job_state, list_settings, warn_of_recipients
from job_api.pages.jobs.notices import HISTORY_UNAVAILABLE
from job_api.pages.kit import plots
from job_api.pages.kit.certificates import describe_expiry, get_state
from job_api.pages.kit.formats import format_count, format_duration, format_instant
from job_api.pages.kit.forms import identify_submission, parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.labels import OPERATOR_REQUIRED, RUN_STATE_LABELS
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.notices import redirect_with_notice
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.pages.runs.artifact_actions import explain_denials
from job_api.pages.runs.artifacts import add_set_totals
from job_api.pages.runs.descriptions import describe_run
from job_api.pages.runs.file_sets import FileRow, group_files
from job_api.roles import OPERATORS, READERS
from job_api.store import UnitOfWork
from shared.http.idempotency import RenderedResponse
from shared.http.problems import Problem
from shared.timetable import preview_slots

_NEXT_RUNS, _LISTED_RUNS, _PLOTTED_RUNS, _LISTED_SETS, _PAGE_SIZE = 5, 10, 30, 5, "100"
_ACTIONS = ("run", "edit", "clone", "suspend", "resume", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """What history knows of a job: its latest runs, the newest first, and its latest files that are available."""

    runs: Sequence[Mapping[str, Any]]
    files: Sequence[FileRow]

    @property
    def newest(self) -> str:
        """When the newest run was created, in the form in which history writes instants; empty if there is none."""
        return self.runs[0]["created_at"].isoformat().replace("+00:00", "Z") if self.runs else ""


async def show_job_page(request: Request) -> Response:
    """Show a job. Raises NotFound."""
    identity = await require_identity(request, *READERS)
    services, job_id = get_services(request), request.path_params["job_id"]
    view, now = await services.jobs.get(identity, job_id), services.clock.now()
    recipients, record = await asyncio.gather(
        services.certificates.list_recipients(identity, view.job.settings.certificates), _load_record(request, job_id)
    )
    denial = None if identity.may(*OPERATORS) else OPERATOR_REQUIRED
    refusals = find_refusals(view.job, now=now, run_in_progress=view.run_in_progress)
    return render(
        request,
        "jobs/job.html",
        job=view.job,
        view=view,
        state_explanation=explain_job_state(view.job),
        next_runs=preview_slots(view.job.schedule, _NEXT_RUNS, now) if view.job.state == "active" else [],
        settings=list_settings(view.job),
        recipients=[(each, get_state(each, now), describe_expiry(each.not_after, now)) for each in recipients],
        record=record,
        runs=[describe_run(run) for run in record.runs[:_LISTED_RUNS]] if record else [],
        charts=_plot_runs(record.runs) if record else [],
        denials={action: denial or refusals.get(action, "") for action in _ACTIONS},
        file_denials=explain_denials(identity),
        denial=denial,
        warnings=warn_of_recipients(view.job, recipients, now),
        history_notice=HISTORY_UNAVAILABLE if record is None else None,
    )


async def run_job(request: Request) -> Response:
    """Request a run of a job, beside its schedule (S10), and lead to the page that the form names, or to the run's.

    Raises NotFound or OperationRefused.
    """
    identity = await require_identity(request, *OPERATORS)
    services, job_id = get_services(request), request.path_params["job_id"]
    view = await services.jobs.get(identity, job_id)

    async def request_run(work: UnitOfWork) -> RenderedResponse:
        return RenderedResponse({"run_id": str(await services.jobs.run_now(work, job_id))})

    requested = await run_once(services.units, identity, await identify_submission(request), command=request_run)
    run = f"/runs/{requested.body['run_id']}"
    back = to_local_path((await parse_form(request)).get("next"), default=run)
    link = run if back != run else ""
    return redirect_with_notice(back, "run-requested", link=link, job=view.job.settings.title)


async def _load_record(request: Request, job_id: UUID) -> JobRecord | None:
    """Return what history knows of a job; None while history is unavailable."""
    history, of_job = get_services(request).history, ("job_id", str(job_id))
    try:
        runs, files = await asyncio.gather(
            history.get(request, "/runs", [of_job, ("sort", "-created_at"), ("limit", str(_PLOTTED_RUNS))]),
            history.get(
                request,
                "/artifacts",
                [of_job, ("state", "available"), ("sort", "-created_at"), ("limit", _PAGE_SIZE)],
            ),
        )
        rows = group_files(files["items"])[:_LISTED_SETS]
        return JobRecord(runs=runs["items"], files=await add_set_totals(request, rows))
    except Problem as problem:
        if is_unavailable(problem):
            return None
        raise


def _plot_runs(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, Markup]]:
    """Return plots of the latest runs, the newest at the right: how long each took, and how many rows it exported."""
    ended = [run for run in reversed(runs) if run["ended_at"] and run["duration_seconds"]]
    bars = [
        plots.Bar(run["duration_seconds"], _name_bar(run, format_duration(run["duration_seconds"])), run["state"])
        for run in ended
    ]
    rows = [
        plots.Bar(run["rows"] or 0, _name_bar(run, format_count(run["rows"] or 0, "row")), run["state"])
        for run in ended
        if run["state"] == "succeeded"
    ]
    drawn = (("Duration", plots.duration_bars(bars)), ("Rows", plots.row_bars(rows)))
    return [(title, plot) for title, plot in drawn if plot is not None]


def _name_bar(run: Mapping[str, Any], value: str) -> str:
    return f"{format_instant(run['slot'] or run['created_at'])}, {RUN_STATE_LABELS[run['state']].lower()}: {value}"
