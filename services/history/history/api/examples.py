"""Responses as the OpenAPI document shows them: one run, its files and its scores."""

import json
from typing import Any

RUN_ID = "3f0e5c2a-9d4b-5e6f-8a7b-0c1d2e3f4a5b"
JOB_ID = "0192f0c1-7b1e-7000-8000-000000000002"
ARTIFACT_ID = "7a1c9e4d-2b3f-5a6e-9c8d-1e2f3a4b5c6d"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
FILE_NAME = f"Interaction-{JOB_ID}-20261124T100000Z.zip.p7m"

DELIVERY_ID, DESTINATION_ID = "c2c4a0f6-1d0e-5b7a-8f3c-5e1d9a7b6c40", "7d1f6b1a-3c52-4e0b-9a57-6f0f4f1f2a33"
DELIVERY: dict[str, Any] = {
    "id": DELIVERY_ID,
    "run_id": RUN_ID,
    "job_id": JOB_ID,
    "destination_id": DESTINATION_ID,
    "destination": "Data lake",
    "kind": "s3",
    "title": "Nightly export",
    "slot": "2026-11-24T10:00:00Z",
    "state": "failed",
    "created_at": "2026-11-24T10:00:43.250Z",
    "started_at": "2026-11-24T10:00:43.610Z",
    "ended_at": "2026-11-24T10:00:45.020Z",
    "attempt": 1,
    "retry_at": None,
    "give_up_at": "2026-11-25T10:00:43.250Z",
    "code": "conflict",
    "message": "An object of this name with other content is already there.",
    "files": 1,
    "files_done": 0,
    "bytes": 75_000_000,
    "bytes_sent": None,
    "manifest": None,
}
DELIVERIES: dict[str, Any] = {"items": [DELIVERY], "next": None}
DELIVERY_DETAILS: dict[str, Any] = DELIVERY | {
    "state": "delivered",
    "code": None,
    "message": None,
    "files_done": 1,
    "bytes_sent": 75_001_204,
    "manifest": f"{JOB_ID}/20261124T100000Z/manifest.json",
    "deliverer": "deliverer-1",
    "events": [
        {
            "occurred_at": "2026-11-24T10:00:43.610Z",
            "kind": "started",
            "details": {"deliverer": "deliverer-1", "attempt": 1},
        }
    ],
    "delivered": [
        {
            "name": FILE_NAME,
            "object": f"{JOB_ID}/20261124T100000Z/{FILE_NAME}",
            "bytes": 75_000_000,
            "sha256": _SHA256,
            "sent": True,
            "delivered_at": "2026-11-24T10:00:44.870Z",
        }
    ],
}
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
    "progress": 1.0,
    "progress_detail": None,
    "estimate": None,
    "deliveries": [
        {
            "id": DELIVERY_ID,
            "destination_id": DESTINATION_ID,
            "destination": "Data lake",
            "kind": "s3",
            "state": "delivered",
            "message": None,
        }
    ],
    "version": 90_210,
}
RUNNING: dict[str, Any] = RUN | {
    "deliveries": [],
    "state": "running",
    "ended_at": None,
    "rows": None,
    "bytes_raw": None,
    "bytes_packed": None,
    "files": 0,
    "progress": 0.6,
    "progress_detail": {
        "phase": "export",
        "units_done": 120_000,
        "units_total": 200_000,
        "total_exact": True,
        "bytes_done": 161_000_000,
        "slices": None,
        "reported_at": "2026-11-24T10:00:26Z",
    },
    "estimate": {"seconds": 17.0, "low": 14.5, "high": 21.0, "estimated_at": "2026-11-24T10:00:26.100Z"},
}
ARTIFACT: dict[str, Any] = {
    "id": ARTIFACT_ID,
    "run_id": RUN_ID,
    "job_id": JOB_ID,
    "title": "Nightly export",
    "type": "interaction",
    "name": FILE_NAME,
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
    "removal_fault": None,
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
            "finished_at": "2026-11-24T10:00:43Z",
            "rows": 200_000,
            "bytes_raw": 269_000_000,
            "bytes_packed": 75_000_000,
            "sha256": _SHA256,
        }
    ],
    "events": [
        {"occurred_at": "2026-11-24T10:00:00.400Z", "kind": "triggered", "details": {"cause": "schedule"}},
        {
            "occurred_at": "2026-11-24T10:00:01.020Z",
            "kind": "started",
            "details": {"exporter": "exporter-1", "attempt": 1},
        },
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
            "seconds": 17.0,
            "low": 14.5,
            "high": 21.0,
            "estimated_at": "2026-11-24T10:00:26.100Z",
            "error_seconds": -0.15,
            "within_band": True,
        }
    ],
    "throughput": [{"measured_at": "2026-11-24T10:00:26Z", "rows": 120_000, "rows_per_second": 4800.0}],
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
LINK_SECRET = "mZk3Jr1bq0b6v9u2w5x8y1z4A7C0E3G6J9M2P5S8V1Y"  # noqa: S105  # an example, which opens nothing
LINK = {
    "path": f"/api/v1/artifacts/links/{LINK_SECRET}/{FILE_NAME}",
    "expires_at": "2026-11-24T10:20:00Z",
}
RETENTION = {"days": 30}
MANIFEST = {
    "manifest_version": 2,
    "schema_version": 1,
    "run": RUN_ID,
    "job": JOB_ID,
    "tenant": "0192f0c1-7b1e-7000-8000-000000000001",
    "title": "Nightly export",
    "type": "interaction",
    "slot": "2026-11-24T10:00:00Z",
    "window": {"start": "2026-11-23T10:00:00Z", "end": "2026-11-24T10:00:00Z"},
    "data_complete_through": "2026-11-24T10:00:00Z",
    "snapshot_rows": {"interaction": 200_000},
    "snapshots": ["00000003-0000001B-1"],
    "recipients": [_SHA256],
    "cipher": "aes-256-cbc",
    "encoding": "ber",
    "files": [
        {
            "name": FILE_NAME,
            "kind": "interaction",
            "member": FILE_NAME.replace(".zip.p7m", ".jsonl"),
            "part": None,
            "rows": 200_000,
            "bytes_raw": 269_000_000,
            "bytes_packed": 75_000_000,
            "sha256": _SHA256,
            "snapshot": "00000003-0000001B-1",
        }
    ],
}
STREAM = f"event: run\nid: 90210\ndata: {json.dumps(RUNNING, separators=(',', ':'))}\n\n"
