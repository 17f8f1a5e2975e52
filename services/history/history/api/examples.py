"""Answers as the API's document shows them: one run, its files, and what is told of them."""

from typing import Any

RUN_ID = "3f0e5c2a-9d4b-5e6f-8a7b-0c1d2e3f4a5b"
JOB_ID = "0192f0c1-7b1e-7000-8000-000000000002"
ARTIFACT_ID = "7a1c9e4d-2b3f-5a6e-9c8d-1e2f3a4b5c6d"
_USER_ID = "0192f0c1-7b1e-7000-8000-000000000003"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_NAME = f"Interaction-{JOB_ID}-20261124T100000Z.zip.p7m"

RUN: dict[str, Any] = {
    "id": RUN_ID,
    "job_id": JOB_ID,
    "title": "Nightly export",
    "source": "contact_history",
    "type": "interaction",
    "state": "succeeded",
    "reason": None,
    "message": None,
    "cause": "schedule",
    "slot": "2026-11-24T10:00:00Z",
    "created_at": "2026-11-24T10:00:00.412Z",
    "started_at": "2026-11-24T10:00:01.020Z",
    "ended_at": "2026-11-24T10:00:43.250Z",
    "duration_seconds": 42.23,
    "attempt": 1,
    "rows": 200_000,
    "bytes_raw": 269_000_000,
    "bytes_packed": 75_000_000,
    "files": 1,
    "share": 1.0,
    "progress": None,
    "estimate": None,
    "version": 90_210,
}
RUNNING: dict[str, Any] = RUN | {
    "state": "running",
    "ended_at": None,
    "rows": None,
    "bytes_raw": None,
    "bytes_packed": None,
    "files": 0,
    "share": 0.6,
    "progress": {
        "phase": "export",
        "units_done": 120_000,
        "units_total": 200_000,
        "total_exact": True,
        "bytes_done": 161_000_000,
        "slices": None,
        "at": "2026-11-24T10:00:26Z",
    },
    "estimate": {"seconds": 17.0, "low": 14.5, "high": 21.0, "at": "2026-11-24T10:00:26.100Z"},
}
ARTIFACT: dict[str, Any] = {
    "id": ARTIFACT_ID,
    "run_id": RUN_ID,
    "job_id": JOB_ID,
    "title": "Nightly export",
    "type": "interaction",
    "name": _NAME,
    "kind": "interaction",
    "part": None,
    "rows": 200_000,
    "bytes_raw": 269_000_000,
    "size": 75_000_000,
    "sha256": _SHA256,
    "created_at": "2026-11-24T10:00:43.250Z",
    "expires_at": "2026-12-24T10:00:43.250Z",
    "days_remaining": 30,
    "state": "available",
    "set_files": 1,
    "set_available": 1,
    "removed_at": None,
    "downloads": 0,
    "downloaded_at": None,
}
DETAILS: dict[str, Any] = RUN | {
    "settings": {
        "title": "Nightly export",
        "source": "contact_history",
        "type": "interaction",
        "source_tenant": 101,
        "timeframe": {"kind": "since_last_run", "start": None, "end": None, "count": None, "unit": None},
        "media_types": ["email", "chat"],
        "split_size": None,
        "certificates": None,
        "compression": "fast",
        "cipher": "aes-256-cbc",
        "attempts": 5,
    },
    "job_deleted": False,
    "window": {"start": "2026-11-23T10:00:00Z", "end": "2026-11-24T10:00:00Z"},
    "exporter": "exporter-1",
    "recipients": [_SHA256],
    "retry_at": None,
    "ended_by": None,
    "rows_per_second": 4735.9,
    "data_complete_through": "2026-11-24T10:00:00Z",
    "parts": [
        {
            "kind": "interaction",
            "part": 1,
            "at": "2026-11-24T10:00:43Z",
            "rows": 200_000,
            "bytes_raw": 269_000_000,
            "bytes_packed": 75_000_000,
            "sha256": _SHA256,
        }
    ],
    "events": [
        {"at": "2026-11-24T10:00:00.400Z", "kind": "triggered", "details": {"cause": "schedule"}},
        {"at": "2026-11-24T10:00:01.020Z", "kind": "started", "details": {"exporter": "exporter-1", "attempt": 1}},
    ],
    "artifacts": [ARTIFACT],
    "sets": [
        {
            "kind": "interaction",
            "files": 1,
            "available": 1,
            "rows": 200_000,
            "bytes_raw": 269_000_000,
            "size": 75_000_000,
        }
    ],
    "estimates": [
        {
            "at": "2026-11-24T10:00:26.100Z",
            "end": "2026-11-24T10:00:43.100Z",
            "low": "2026-11-24T10:00:40.600Z",
            "high": "2026-11-24T10:00:47.100Z",
            "error_seconds": -0.15,
            "held": True,
        }
    ],
    "throughput": [{"at": "2026-11-24T10:00:26Z", "rows": 120_000, "rows_per_second": 4800.0}],
    "estimate_error": 0.02,
}
RUNS = {"items": [RUNNING, RUN], "next": None}
RUN_COUNTS = {
    "state": {"succeeded": 120, "running": 1},
    "type": {"interaction": 121},
    "source": {"contact_history": 121},
}
SCORES = {
    "items": [
        {
            "run_id": RUN_ID,
            "scored_at": "2026-11-24T10:00:43.300Z",
            "estimates": 40,
            "error_ratio": 0.02,
            "coverage": 0.85,
        }
    ],
    "error_ratio": 0.02,
    "coverage": 0.85,
}
ARTIFACTS = {"items": [ARTIFACT], "next": None}
ARTIFACT_COUNTS = {"state": {"available": 240, "expired": 12}, "type": {"interaction": 252}}
LINK = {
    "path": "/api/v1/artifacts/links/mZk3Jr1bq0b6v9u2w5x8y1z4A7C0E3G6J9M2P5S8V1Y",
    "expires_at": "2026-11-24T10:20:00Z",
}
RETENTION = {"days": 30}
AUDIT = {
    "items": [
        {
            "id": 17,
            "at": "2026-11-24T10:05:00Z",
            "user_id": _USER_ID,
            "name": "Ada",
            "action": "download",
            "object_id": ARTIFACT_ID,
            "details": {"first_byte": 0},
        }
    ],
    "next": None,
}
MANIFEST = {
    "run_id": RUN_ID,
    "job_id": JOB_ID,
    "files": [{"name": _NAME, "rows": 200_000, "bytes_packed": 75_000_000, "sha256": _SHA256}],
}
STREAM = f'event: run\nid: 90210\ndata: {{"id":"{RUN_ID}","state":"running","share":0.6}}\n\n'
