"""One run: all that is known of it, with plots of how it went (H2)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from job_api.history_client import Log, is_away
from job_api.pages.kit import plots
from job_api.pages.kit.rendering import ANYBODY, render, size_in_words, visitor
from job_api.pages.runs.descriptions import CAUSES, KINDS, PHASES, amount, lasted, line, to_do, why, window
from job_api.pages.runs.run_list import denied, history_away, shown
from job_api.roles import READERS
from job_api.service import Access
from shared.auth import Identity
from shared.http.problems import Problem

_PARTS_SHOWN, _STRETCHES = 200, 60
Fact = tuple[str, Any]
"""What it is, and its value: words, an instant, or None for nothing."""


async def run_details(access: Access, log: Log, request: Request) -> Response:
    """Show one run."""
    who = await visitor(access, request, *ANYBODY)
    run_id = request.path_params["run_id"]
    try:
        run = await log.get(request, f"/runs/{run_id}")
    except Problem as problem:
        if is_away(problem):
            return history_away(request, problem, title="Run", here_is="runs")
        raise
    run = shown(run)
    return render(
        request,
        "run.html",
        run=run,
        why=why(run),
        summary=_summary(run),
        to_do=to_do(run["reason"]) if run["state"] == "failed" or run["message"] else "",
        phase=PHASES.get((run["progress"] or {}).get("phase") or "", ""),
        facts=_facts(run),
        settings=_settings(run),
        timeline=[line(entry) for entry in run["events"]],
        parts=[_part(part) for part in run["parts"][:_PARTS_SHOWN]],
        more_parts=max(0, len(run["parts"]) - _PARTS_SHOWN),
        sets=[_set(each) for each in run.get("sets") or []],
        throughput=throughput_of(run),
        foretelling=_foretelling(run),
        estimate_words=_estimate_words(run),
        refused=_refused(who, run),
        sees_job=who.may(*READERS),
    )


def _refused(who: Identity, run: Mapping[str, Any]) -> dict[str, str]:
    """Return for each action why it cannot be taken; empty where it can."""
    role = denied(who)
    return {
        "cancel": role or ("This run has ended." if run["ended"] else ""),
        "remove": role or ("" if run["ended"] else "This run has not ended: cancel it first."),
        "clone": role or ("" if run["settings"] else "The settings of this run are not known."),
        "files": "" if run["files"] else "This run has made no files.",
    }


def _summary(run: Mapping[str, Any]) -> str:
    if run["state"] != "succeeded":
        return ""
    return f"{amount(run['rows'] or 0, 'row')} in {lasted(run['duration_seconds'])}, {amount(run['files'], 'file')}."


def _facts(run: Mapping[str, Any]) -> list[Fact]:
    progress = run["progress"] or {}
    settings = run["settings"] or {}
    attempts = settings.get("attempts")
    rows = run["rows"] if run["rows"] is not None else progress.get("units_done")
    raw = run["bytes_raw"] if run["bytes_raw"] is not None else progress.get("bytes_done")
    return [
        ("Slot", run["slot"]),
        ("Began", CAUSES.get(run["cause"] or "", "")),
        ("Started", run["started_at"]),
        ("Ended", run["ended_at"]),
        ("Duration", lasted(run["duration_seconds"])),
        (
            "Attempt",
            f"{run['attempt']} of {attempts} at most" if run["attempt"] and attempts else str(run["attempt"] or ""),
        ),
        ("Tried again at", run["retry_at"]),
        ("Exporter", run["exporter"]),
        ("Rows", _rows(rows, progress)),
        ("Size", size_in_words(raw) if raw else ""),
        ("Encrypted", size_in_words(run["bytes_packed"]) if run["bytes_packed"] else ""),
        ("Rate", _rate(run["rows_per_second"])),
        ("Data rate", f"{size_in_words(raw / run['duration_seconds'])}/s" if raw and run["duration_seconds"] else ""),
        ("Takes", window(run)),
        ("Window from", (run["window"] or {}).get("start")),
        ("Window until", (run["window"] or {}).get("end")),
        ("Complete through", run["data_complete_through"]),
    ]


def _rows(rows: int | None, progress: Mapping[str, Any]) -> str:
    if rows is None:
        return ""
    total = progress.get("units_total")
    if not total:
        return f"{rows:,}"
    return f"{rows:,} of {'' if progress.get('total_exact') else 'about '}{total:,}"


def _rate(rate: float | None) -> str:
    if not rate:
        return ""
    return f"{rate:,.0f} rows/s" if rate >= 10 else f"{rate:.1f} rows/s"


def _settings(run: Mapping[str, Any]) -> list[Fact]:
    settings = run["settings"]
    if not settings:
        return []
    split, media, chosen = settings.get("split_size"), settings.get("media_types"), settings.get("certificates")
    return [
        ("Title", settings["title"]),
        ("Source", run["source_words"]),
        ("Type", run["type_words"]),
        ("Media types", ", ".join(media) if media else "all"),
        ("Time frame", window(run)),
        ("Files", f"split at {size_in_words(split)} of records" if split else "one single file"),
        ("Certificates", amount(len(chosen), "certificate") + " chosen" if chosen else "the tenant's active ones"),
        ("Encryption", "AES-256-GCM, OAEP" if settings.get("cipher") == "aes-256-gcm" else "AES-256-CBC"),
        ("Compression", "small" if settings.get("compression") == "small" else "fast"),
        ("Attempts", f"{settings['attempts']} at most" if settings.get("attempts") else ""),
    ]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    return dict(part) | {"kind_words": KINDS.get(part["kind"], part["kind"])}


def _set(found: Mapping[str, Any]) -> dict[str, Any]:
    return dict(found) | {"kind_words": KINDS.get(found["kind"], found["kind"])}


def throughput_of(run: Mapping[str, Any]) -> Markup | None:
    """Return the plot of how fast a run went, or None when too little is known."""
    began: datetime | None = run["started_at"]
    points: Sequence[Mapping[str, Any]] = run.get("throughput") or []
    if began is None:
        return None
    length: float = run["duration_seconds"] or 0.0
    rates, begins, since, rows = [], 0.0, 0.0, 0.0
    for point in points:
        at = (point["at"] - began).total_seconds()
        if at > since:
            rows, since = rows + max(0.0, point["rows_per_second"]) * (at - since), at
        # What is narrower than this cannot be seen, but for a spike that means nothing.
        if since - begins > length / _STRETCHES:
            rates.append(plots.Rate(start=begins, end=since, per_second=rows / (since - begins)))
            begins, rows = since, 0.0
    return plots.throughput(rates, length=length)


def _foretelling(run: Mapping[str, Any]) -> Markup | None:
    began: datetime | None = run["started_at"]
    if began is None:
        return None
    told = [
        plots.Foretold(
            at=(each["at"] - began).total_seconds(),
            left=_left(each["end"], each["at"]),
            low=_left(each["low"], each["at"]),
            high=_left(each["high"], each["at"]),
        )
        for each in run["estimates"]
        if each["at"] >= began
    ]
    return plots.foretelling(told, length=run["duration_seconds"] or 0.0, ended=run["state"] == "succeeded")


def _left(end: datetime, at: datetime) -> float:
    return max(0.0, (end - at).total_seconds())


def _estimate_words(run: Mapping[str, Any]) -> str:
    error = run["estimate_error"]
    if error is None:
        return ""
    held = [each["held"] for each in run["estimates"] if each.get("held") is not None]
    words = f"The estimates were off by {100 * error:.0f} % of the duration on average"
    return f"{words}; the band held the true end {sum(held)} of {len(held)} times." if held else f"{words}."
