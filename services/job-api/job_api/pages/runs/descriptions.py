"""Runs in words: what happened, why, and what to do about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SOURCES = {"contact_history": "Contact history"}
TYPES = {"interaction": "Interactions", "contact": "Contacts"}
KINDS = {"interaction": "Interactions", "interaction-attachment": "Attachments", "contact": "Contacts"}
PHASES = {
    "count": "counting rows",
    "export": "reading and writing rows",
    "package": "packing",
    "store": "storing files",
}
CAUSES = {
    "schedule": "by schedule",
    "immediate": "started when the job was saved",
    "catch-up": "caught up after a pause of the scheduler",
    "run-now": "started by hand",
}
WHY = {
    "suspended": "the job was suspended",
    "overlap": "the run before was still in progress",
    "missed": "no scheduler was running at that time",
    "ended": "the job's schedule had ended",
    "requested": "somebody asked for it",
    "job-deleted": "its job was deleted",
}
"""Why a run was skipped or cancelled."""

_CERTIFICATES = "Open Preferences, certificates: upload a new one, or choose others in the job. Then run the job again."
_AGAIN = "Run the job again. If it happens again, tell whoever operates Sluice, with the run's id below."
TO_DO = {
    "source-unavailable": "See that the contact history database is up and reachable, then run the job again.",
    "snapshot-gone": "The source was restarted or cut the connection meanwhile. Run the job again.",
    "source-access-refused": "Have the database's administrator check Sluice's login and its right to read the views.",
    "source-bad-mapping": "Have the three views compared with what Sluice needs; the message names what is wrong.",
    "source-bad-copy": _AGAIN,
    "no-certificate": _CERTIFICATES,
    "certificate-expired": _CERTIFICATES,
    "certificate-not-yet-valid": "Wait until the certificate is valid, or choose another in the job.",
    "certificate-not-rsa": _CERTIFICATES,
    "certificate-key-too-short": _CERTIFICATES,
    "not-a-certificate": _CERTIFICATES,
    "file-too-large": "Give the job a split size, so that each file stays small enough to be encrypted and opened.",
    "store-unavailable": "See that the file store is up and reachable and has room, then run the job again.",
    "store-refused": "Have the store's keys, bucket and rights checked by whoever operates Sluice.",
    "object-not-found": _AGAIN,
    "rows-missing": "No file was published, because rows were missing. " + _AGAIN,
    "worker-died": "The exporter may have run out of memory or been stopped. " + _AGAIN,
    "internal": _AGAIN,
}
"""What a person can do about a failure, by its code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A line of a run's timeline: its instant, what happened, more about it, and how it is marked."""

    at: datetime
    what: str
    more: str
    mark: str


def to_do(code: str | None) -> str:
    """Return what to do about a failure."""
    return TO_DO.get(code or "", _AGAIN)


def why(run: Mapping[str, Any]) -> str:
    """Return why a run has the state that it has, in a sentence; empty where there is nothing to say."""
    state, reason = run["state"], run.get("reason") or ""
    if state == "cancelled":
        return f"Cancelled: {WHY.get(reason, 'somebody asked for it')}."
    if state == "skipped":
        return f"Not run: {WHY.get(reason, reason or 'it was not due any more')}."
    return run.get("message") or ""


def line(entry: Mapping[str, Any]) -> Said:
    """Return an entry of the timeline in words."""
    kind, details = str(entry["kind"]), entry.get("details") or {}
    said = _LINES.get(kind)
    what, more, mark = said(details) if said else (kind.replace("-", " ").capitalize(), "", "plain")
    return Said(at=entry["at"], what=what, more=more, mark=mark)


def _started(details: Mapping[str, Any]) -> tuple[str, str, str]:
    attempt = details.get("attempt") or 1
    return f"Attempt {attempt} started" if attempt > 1 else "Started", f"on {_exporter(details)}", "plain"


def _exporter(details: Mapping[str, Any]) -> str:
    return str(details.get("exporter") or "an exporter")


def _ended(what: str, mark: str) -> Callable[[Mapping[str, Any]], tuple[str, str, str]]:
    return lambda details: (what, str(details.get("message") or WHY.get(details.get("reason") or "", "")), mark)


_LINES: dict[str, Callable[[Mapping[str, Any]], tuple[str, str, str]]] = {
    "triggered": lambda told: ("Due", CAUSES.get(told.get("cause") or "", ""), "plain"),
    "queued": lambda _: ("Waiting for an exporter", "", "plain"),
    "started": _started,
    "attempt-failed": lambda told: (f"Attempt {told.get('attempt')} failed", str(told.get("message") or ""), "bad"),
    "handed-back": lambda told: ("Handed back", f"{_exporter(told)} was stopped; another goes on", "warn"),
    "succeeded": lambda told: ("Succeeded", f"{told.get('rows') or 0:,} rows", "good"),
    "failed": _ended("Failed", "bad"),
    "cancelled": _ended("Cancelled", "warn"),
    "skipped": _ended("Skipped", "warn"),
    "slot-skipped": _ended("Skipped", "warn"),
    "files-expired": lambda told: ("Files removed", f"{_files(told)}: their time was over", "plain"),
    "files-deleted": lambda told: ("Files deleted", f"{_files(told)}, by somebody", "plain"),
}


def _files(details: Mapping[str, Any]) -> str:
    count = details.get("files") or 0
    return "1 file" if count == 1 else f"{count} files"


def window(run: Mapping[str, Any]) -> str:
    """Return which records a run takes, by its frozen settings."""
    frame = (run.get("settings") or {}).get("timeframe") or {}
    match frame.get("kind"):
        case "fixed":
            return "a fixed time frame"
        case "last":
            count, unit = frame.get("count") or 1, str(frame.get("unit") or "days")
            return f"the last {unit.removesuffix('s')}" if count == 1 else f"the last {count} {unit}"
        case "since_last_run":
            return "everything that changed since the last successful run"
        case _:
            return "all records"


def amount(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def lasted(seconds: float | None) -> str:
    """Return how long something took, exactly enough: 4.2 s, 3 min 10 s, 2 h 5 min."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
