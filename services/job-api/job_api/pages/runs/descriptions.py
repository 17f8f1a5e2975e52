"""Runs in plain words: what happened, why, and what a user can do about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from job_api.pages.kit.formats import format_count
from job_api.pages.kit.labels import SOURCE_LABELS, TYPE_LABELS
from job_api.store.audit import RunActors
from job_api.store.jobs import RunEstimate

NOBODY = RunActors(None, None)
ENDED_STATES = frozenset({"succeeded", "failed", "cancelled", "skipped"})
PHASES = {
    "count": "counting rows",
    "export": "exporting rows",
    "package": "packing files",
    "store": "storing files",
}
CAUSES = {
    "schedule": "by schedule",
    "immediate": "immediately after saving",
    "catch-up": "caught up after a scheduler outage",
    "run-now": "on request",
}
REASONS = {
    "suspended": "the job was suspended",
    "overlap": "the previous run was still in progress",
    "missed": "no scheduler was running at that time",
    "ended": "the job's schedule had ended",
    "requested": "requested by a user",
    "job-deleted": "its job was deleted",
}
"""Why a run was skipped or cancelled."""

_RENEW_CERTIFICATES = (
    "Upload a new certificate under Preferences, or select other certificates in the job. Then run the job again."
)
_RUN_AGAIN = "Run the job again. If it fails again, send the run's id (below) to the operator of Sluice."
ADVICE = {
    "source-recovery-conflict": "On the standby, set hot_standby_feedback or a larger "
    "max_standby_streaming_delay, or export from the primary.",
    "source-unavailable": "Check that the contact history database is up and reachable, then run the job again.",
    "source-behind": "Ask the database's administrator to check the replication of the contact history.",
    "source-watermark-unsupported": "Select another export timeframe, or have the views mapped onto tables.",
    "snapshot-gone": "The source was restarted or closed the connection. Run the job again.",
    "source-access-refused": "Ask the database's administrator to check Sluice's login and its permission to read the "
    "views.",
    "source-bad-mapping": "Ask the database's administrator to compare the three views with what Sluice requires. The "
    "message says what is wrong.",
    "source-bad-copy": _RUN_AGAIN,
    "source-number-mismatch": "Send the run's id (below) to the operator of Sluice: the job did not trigger this run.",
    "source-number-unknown": _RUN_AGAIN,
    "no-certificate": _RENEW_CERTIFICATES,
    "certificate-expired": _RENEW_CERTIFICATES,
    "certificate-not-yet-valid": "Wait until the certificate is valid, or select another one in the job.",
    "certificate-key-too-short": _RENEW_CERTIFICATES,
    "certificate-key-unusable": _RENEW_CERTIFICATES,
    "certificates-indistinguishable": "Retire one of the two certificates under Preferences, or select one of them in "
    "the job. Then run the job again.",
    "not-a-certificate": _RENEW_CERTIFICATES,
    "file-too-large": "Set a file split size in the job, so that every file is small enough to encrypt and open.",
    "too-many-files": "Set a larger file split size in the job, so that the export has fewer files.",
    "store-unavailable": "Check that the object store is reachable and has free space, then run the job again.",
    "store-refused": "Ask the operator of Sluice to check the object store's keys, bucket and permissions.",
    "rows-missing": "Rows were missing, so no file was published. " + _RUN_AGAIN,
    "worker-died": "The exporter may have run out of memory or been stopped. " + _RUN_AGAIN,
    "internal": _RUN_AGAIN,
}
"""What a user can do about a failure, by its code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineLine:
    """A line of a run's timeline: when it happened, what, with which details, and the colour of its mark."""

    at: datetime
    event: str
    details: str
    mark: str


Line = tuple[str, str, str]
"""What happened, its details, and the mark: plain, good, warn or bad."""


def describe_run(run: Mapping[str, Any], actors: RunActors = NOBODY) -> dict[str, Any]:
    """Return a run of history's API with labels, its status as the templates show it, and whether it has ended."""
    estimate = run["estimate"]
    status = {
        "state": run["state"],
        "progress": run["progress"],
        "estimate": RunEstimate(**estimate) if estimate else None,
        "message": explain_state(run, actors),
    }
    source, kind = run.get("source") or "", run.get("type") or ""
    labels = {"source_label": SOURCE_LABELS.get(source, source), "type_label": TYPE_LABELS.get(kind, kind)}
    return dict(run) | labels | {"status": status, "ended": run["state"] in ENDED_STATES}


def explain_state(run: Mapping[str, Any], actors: RunActors = NOBODY) -> str:
    """Return why a run is in its state, as a sentence; empty where there is nothing to explain."""
    state, reason = run["state"], run.get("reason") or ""
    if state == "cancelled":
        who = actors.cancelled_by if reason != "job-deleted" else None
        return f"Cancelled by {who}." if who else f"Cancelled: {REASONS.get(reason, REASONS['requested'])}."
    if state == "skipped":
        return f"Not run: {REASONS.get(reason, reason or 'it was no longer due')}."
    return run.get("message") or ""


def advise(code: str | None) -> str:
    """Return what a user can do about a failure, by its code."""
    return ADVICE.get(code or "", _RUN_AGAIN)


def describe_cause(run: Mapping[str, Any], actors: RunActors) -> str:
    """Return why a run was triggered, and who requested it."""
    if run["cause"] == "run-now" and actors.requested_by:
        return f"requested by {actors.requested_by}"
    return CAUSES.get(run["cause"] or "", "")


def is_about_certificates(code: str | None) -> bool:
    """Return whether a failure's code says that the recipients' certificates cannot be used."""
    return code is not None and (code.startswith("certificate-") or code in {"no-certificate", "not-a-certificate"})


def describe_event(entry: Mapping[str, Any]) -> TimelineLine:
    """Return an entry of history's timeline in plain words; an unknown kind is shown by its name."""
    kind, details = str(entry["kind"]), entry.get("details") or {}
    describe = _LINES.get(kind)
    event, more, mark = describe(details) if describe else (kind.replace("-", " ").capitalize(), "", "plain")
    return TimelineLine(at=entry["occurred_at"], event=event, details=more, mark=mark)


def describe_timeframe(run: Mapping[str, Any]) -> str:
    """Return which records a run exports, by its frozen settings."""
    timeframe = (run.get("settings") or {}).get("timeframe") or {}
    match timeframe.get("kind"):
        case "fixed":
            return "fixed interval"
        case "last":
            count, unit = timeframe.get("count") or 1, str(timeframe.get("unit") or "days")
            return f"last {count} {unit.removesuffix('s') if count == 1 else unit}"
        case "since_last_run":
            return "since the last run"
        case _:
            return "all"


def _describe_start(details: Mapping[str, Any]) -> Line:
    attempt = details.get("attempt") or 1
    return f"Attempt {attempt} started" if attempt > 1 else "Started", f"on {_exporter(details)}", "plain"


def _describe_end(event: str, mark: str) -> Callable[[Mapping[str, Any]], Line]:
    return lambda details: (event, str(details.get("message") or REASONS.get(details.get("reason") or "", "")), mark)


def _describe_success(details: Mapping[str, Any]) -> Line:
    rows, note = f"{details.get('rows') or 0:,} rows", details.get("data_complete_note")
    return "Succeeded", f"{rows}. {note}" if note else rows, "warn" if note else "good"


def _exporter(details: Mapping[str, Any]) -> str:
    return str(details.get("exporter") or "an exporter")


def _files(details: Mapping[str, Any]) -> str:
    return format_count(details.get("files") or 0, "file")


_LINES: dict[str, Callable[[Mapping[str, Any]], Line]] = {
    "triggered": lambda entry: ("Due", CAUSES.get(entry.get("cause") or "", ""), "plain"),
    "queued": lambda _: ("Waiting for an exporter", "", "plain"),
    "started": _describe_start,
    "attempt-failed": lambda entry: (f"Attempt {entry.get('attempt')} failed", str(entry.get("message") or ""), "bad"),
    "handed-back": lambda entry: ("Handed back", f"{_exporter(entry)} was stopped; another will continue", "warn"),
    "succeeded": _describe_success,
    "failed": _describe_end("Failed", "bad"),
    "cancelled": _describe_end("Cancelled", "warn"),
    "skipped": _describe_end("Skipped", "warn"),
    "slot-skipped": _describe_end("Skipped", "warn"),
    "files-expired": lambda entry: ("Files expired", f"{_files(entry)}, at the end of the retention", "plain"),
    "files-deleted": lambda entry: ("Files deleted", f"{_files(entry)}, by a user", "plain"),
}
