"""One run: everything known about it, with plots of its throughput and of its estimates (H2)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from job_api.domain import find_refusals
from job_api.domain.catalog import format_media_type
from job_api.errors import NotFound
from job_api.history_client import is_unavailable
from job_api.pages.kit import plots
from job_api.pages.kit.filters import describe_filter, read_filter
from job_api.pages.kit.formats import format_count, format_duration, format_size
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.labels import FILE_KIND_LABELS
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.pages.runs.deliveries import DELIVERY_LABELS
from job_api.pages.runs.descriptions import (
    PHASES,
    advise,
    describe_cause,
    describe_event,
    describe_run,
    describe_timeframe,
    explain_state,
    is_about_certificates,
)
from job_api.pages.runs.history_pages import explain_denial, render_unavailable
from job_api.roles import ANY_ROLE, OPERATORS, READERS
from job_api.store.audit import RunActors
from job_api.store.runs import RequestedRun
from shared.auth import Identity
from shared.http.problems import Problem

_MAX_PARTS, _MAX_INTERVALS = 200, 60
Fact = tuple[str, str | datetime | None]
"""A label and its value; a fact without a value is not shown."""


async def show_run(request: Request) -> Response:
    """Show one run. Raises Problem 404 for one that does not exist."""
    identity = await require_identity(request, *ANY_ROLE)
    services, run_id = get_services(request), request.path_params["run_id"]
    try:
        found = await services.history.get(request, f"/runs/{run_id}")
    except Problem as problem:
        if is_unavailable(problem):
            return render_unavailable(request, problem, title="Run", section="runs")
        if problem.status == 404 and (requested := await services.requested_runs.find(identity, run_id)):
            return _render_requested(request, requested)
        raise
    actors = await services.audit.find_run_actors(identity, run_id, UUID(found["job_id"]))
    run = describe_run(found, actors)
    progress = run["progress_detail"] or {}
    failed = run["state"] == "failed" or run["message"]
    return render(
        request,
        "runs/details.html",
        run=run,
        explanation=explain_state(run, actors),
        summary=_summarize(run),
        advice=advise(run["reason"]) if failed else "",
        phase=PHASES.get(progress.get("phase") or "", ""),
        slices=len(progress.get("slices") or ()),
        facts=_list_facts(run, actors),
        settings=_list_settings(run),
        timeline=[describe_event(entry) for entry in run["events"]],
        parts=[_with_kind_label(part) for part in run["parts"][:_MAX_PARTS]],
        parts_left_out=max(0, len(run["parts"]) - _MAX_PARTS),
        sets=[_with_kind_label(each) | {"first_file": _find_first_file(run, each)} for each in run.get("sets") or []],
        throughput=plot_throughput(run),
        forecast=_plot_forecast(run),
        accuracy=_describe_accuracy(run),
        denials=_explain_denials(identity, run),
        next_steps=await _find_next_steps(request, identity, run),
        sees_job=identity.may(*READERS) and not run["job_deleted"],
        delivery_labels=DELIVERY_LABELS,
        may_deliver=identity.may(*OPERATORS),
    )


def _render_requested(request: Request, run: RequestedRun) -> Response:
    """Return the page of a run that history does not know yet; the script loads it again when history does."""
    return render(request, "runs/requested.html", run=run)


async def _find_next_steps(request: Request, identity: Identity, run: Mapping[str, Any]) -> dict[str, str] | None:
    """Return what helps after a run without files: each step with the reason why it is refused, or empty if it is not.

    None where nothing helps: the run did not end badly, or its job is not there or not the reader's to see.
    """
    if run["state"] not in {"failed", "cancelled", "skipped"} or not identity.may(*READERS):
        return None
    services, denial = get_services(request), explain_denial(identity)
    try:
        view = await services.jobs.get(identity, UUID(run["job_id"]))
    except NotFound:
        return None
    refusals = find_refusals(view.job, now=services.clock.now(), run_in_progress=view.run_in_progress)
    steps = {"run": denial or refusals.get("run", ""), "edit": denial or refusals.get("edit", "")}
    return steps | {"upload": denial} if is_about_certificates(run["reason"]) else steps


def plot_throughput(run: Mapping[str, Any]) -> Markup | None:
    """Return the plot of a run's throughput, or None when too little is known."""
    started_at: datetime | None = run["started_at"]
    points: Sequence[Mapping[str, Any]] = run.get("throughput") or []
    if started_at is None:
        return None
    length: float = run["duration_seconds"] or 0.0
    intervals, begin, previous, rows = [], 0.0, 0.0, 0.0
    for point in points:
        at = (point["measured_at"] - started_at).total_seconds()
        if at > previous:
            rows, previous = rows + max(0.0, point["rows_per_second"]) * (at - previous), at
        # A narrower interval would be invisible, except as a spike without meaning.
        if previous - begin > length / _MAX_INTERVALS:
            rate = rows / (previous - begin)
            intervals.append(plots.ThroughputInterval(start=begin, end=previous, rows_per_second=rate))
            begin, rows = previous, 0.0
    return plots.throughput_plot(intervals, length=length)


def _plot_forecast(run: Mapping[str, Any]) -> Markup | None:
    started_at: datetime | None = run["started_at"]
    if started_at is None:
        return None
    forecasts = [
        plots.Forecast(
            at=(each["estimated_at"] - started_at).total_seconds(),
            remaining=max(0.0, each["seconds"]),
            low=max(0.0, each["low"]),
            high=max(0.0, each["high"]),
        )
        for each in run["estimates"]
        if each["estimated_at"] >= started_at
    ]
    return plots.forecast_plot(forecasts, length=run["duration_seconds"] or 0.0, ended=run["state"] == "succeeded")


def _describe_accuracy(run: Mapping[str, Any]) -> str:
    error = run["estimate_error"]
    if error is None:
        return ""
    within = [each["within_band"] for each in run["estimates"] if each["within_band"] is not None]
    text = f"The mean error of the estimates was {100 * error:.0f} % of the duration"
    return f"{text}; the band contained the actual end {sum(within)} of {len(within)} times." if within else f"{text}."


def _explain_denials(identity: Identity, run: Mapping[str, Any]) -> dict[str, str]:
    """Return for each action why it cannot be taken; empty for the actions that can."""
    denial = explain_denial(identity)
    return {
        "cancel": denial or ("This run has ended." if run["ended"] else ""),
        "remove": denial or ("" if run["ended"] else "This run has not ended: cancel it first."),
        "clone": denial or ("" if run["settings"] else "The settings of this run are not known."),
        "files": "" if run["files"] else "This run has no files.",
    }


def _summarize(run: Mapping[str, Any]) -> str:
    if run["state"] != "succeeded":
        return ""
    rows, files = format_count(run["rows"] or 0, "row"), format_count(run["files"], "file")
    return f"{rows} in {format_duration(run['duration_seconds'])}, {files}."


def _list_facts(run: Mapping[str, Any], actors: RunActors) -> list[Fact]:
    progress, window, duration = run["progress_detail"] or {}, run["window"] or {}, run["duration_seconds"]
    rows = run["rows"] if run["rows"] is not None else progress.get("units_done")
    raw = run["bytes_raw"] if run["bytes_raw"] is not None else progress.get("bytes_done")
    return [
        ("Scheduled for", run["slot"]),
        ("Triggered", describe_cause(run, actors)),
        ("Started", run["started_at"]),
        ("Ended", run["ended_at"]),
        ("Duration", format_duration(duration)),
        ("Attempt", _format_attempt(run)),
        ("Next attempt", run["retry_at"]),
        ("Exporter", run["exporter"]),
        ("Rows", _format_rows(rows, progress)),
        ("Size", format_size(raw) if raw else ""),
        ("Encrypted size", format_size(run["bytes_packed"]) if run["bytes_packed"] else ""),
        ("Rate", _format_rate(run["rows_per_second"])),
        ("Data rate", f"{format_size(raw / duration)}/s" if raw and duration else ""),
        ("Export timeframe", describe_timeframe(run)),
        ("Records from", window.get("start")),
        ("Records until", window.get("end")),
        ("Complete through", run["data_complete_through"]),
    ]


def _format_attempt(run: Mapping[str, Any]) -> str:
    attempt, allowed = run["attempt"], (run["settings"] or {}).get("attempts")
    if attempt and allowed:
        return f"{attempt} of up to {allowed}"
    return str(attempt or "")


def _format_rows(rows: int | None, progress: Mapping[str, Any]) -> str:
    if rows is None:
        return ""
    total = progress.get("units_total")
    if not total:
        return f"{rows:,}"
    return f"{rows:,} of {'' if progress.get('total_exact') else 'about '}{total:,}"


def _format_rate(rows_per_second: float | None) -> str:
    if not rows_per_second:
        return ""
    return f"{rows_per_second:,.0f} rows/s" if rows_per_second >= 10 else f"{rows_per_second:.1f} rows/s"


def _list_settings(run: Mapping[str, Any]) -> list[Fact]:
    settings = run["settings"]
    if not settings:
        return []
    split, media, selected = settings.get("split_size"), settings.get("media_types"), settings.get("certificates")
    return [
        ("Title", settings["title"]),
        ("Source", run["source_label"]),
        ("Type", run["type_label"]),
        ("Media types", ", ".join(format_media_type(each) for each in media) if media else "all"),
        ("Export timeframe", describe_timeframe(run)),
        ("Filter", describe_filter(read_filter(settings))),
        ("File split size", f"{format_size(split)} of records" if split else "none: single file"),
        ("Certificates", f"{format_count(len(selected), 'certificate')} selected" if selected else "all active ones"),
        ("Encryption", "AES-256-GCM with OAEP" if settings.get("cipher") == "aes-256-gcm" else "AES-256-CBC"),
        ("Compression", "small files" if settings.get("compression") == "small" else "fast"),
        ("Attempts", f"up to {settings['attempts']}" if settings.get("attempts") else ""),
    ]


def _find_first_file(run: Mapping[str, Any], file_set: Mapping[str, Any]) -> str | None:
    """Return the id of the first file of a set that is available, if any is."""
    return next(
        (each["id"] for each in run["artifacts"] if each["kind"] == file_set["kind"] and each["state"] == "available"),
        None,
    )


def _with_kind_label(item: Mapping[str, Any]) -> dict[str, Any]:
    return dict(item) | {"kind_label": FILE_KIND_LABELS.get(item["kind"], item["kind"])}
