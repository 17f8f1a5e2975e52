"""Exports as a customer does them, through REST only: from the local stack, or from containers."""

from pathlib import Path
from typing import Any

import httpx

from sluice.decrypt import decrypt_file
from tests.support.wait import eventually_now
from tests.unit.stream.officers import make_officer


def do_exports(url: str, api_key: str, folder: Path) -> dict[str, int]:
    """Run one export of each type and an hourly one; download and decrypt all files.

    Returns how many records each kind of file held (`Interaction`, `Interaction-Attachment`, `Contact`).
    """
    officer = make_officer("deploy")
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {api_key}"}, timeout=30) as client:
        send(client, "/api/v1/certificates", {"name": "test", "pem": officer.pem.decode()})
        once = {"kind": "once", "immediately": True}
        hourly = {"kind": "hourly", "every": 1, "immediately": True}
        for title, kind, schedule in (
            ("all", "interaction", once),
            ("contacts", "contact", once),
            ("hourly", "contact", hourly),
        ):
            job = {"title": title, "source": "contact_history", "type": kind, "timeframe": {"kind": "all"}}
            send(client, "/api/v1/jobs", job | {"schedule": schedule})

        def ended() -> bool:
            runs = client.get("/api/v1/runs").json()["items"]
            assert not [run for run in runs if run["state"] == "failed"], runs
            return len(runs) >= 3 and all(run["state"] == "succeeded" for run in runs)

        eventually_now(ended, timeout=180)
        records: dict[str, int] = {}
        for artifact in client.get("/api/v1/artifacts").json()["items"]:
            file = folder / artifact["name"]
            file.write_bytes(client.get(f"/api/v1/artifacts/{artifact['id']}/content").raise_for_status().content)
            opened = folder / file.stem
            opened.mkdir()
            (jsonl,) = decrypt_file(file, officer.recipient_key, opened)
            records[parse_kind(artifact["name"])] = jsonl.read_bytes().count(b"\n")
    return records


def send(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    """Create a resource; fail with the text of the response when it is rejected."""
    answer = client.post(path, json=body, headers={"Idempotency-Key": f"{path}{body.get('title')}"})
    assert answer.is_success, answer.text


def parse_kind(name: str) -> str:
    """Return the kind of records in an artifact, which its name begins with."""
    return "Interaction-Attachment" if name.startswith("Interaction-Attachment") else name.partition("-")[0]
