"""Files: archives, links, deletion, retention, and the audit trail of all of them."""

import asyncio
import hashlib
import io
import os
import zipfile
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from job_api.pages.kit.commands import resume_commands
from shared import auth, events
from shared.clock import SystemClock
from tests.integration.history.conftest import History
from tests.integration.history.test_history import FILE, SUM, fetch_artifact, new_scenario, wait_for_state, write_files
from tests.support.listener import Listener
from tests.support.wait import eventually
from tests.unit.history.scenarios import RunScenario


async def finish_run(
    history: History, client: httpx.AsyncClient, *, files: int = 1, days_ago: float = 0
) -> RunScenario:
    """Return a run that has succeeded, with its files in the store."""
    scenario = new_scenario(history)
    scenario.at -= timedelta(days=days_ago)
    scenario.triggered().queued().started().succeeded(files, packed=len(FILE), sha256=SUM)
    folder = history.store / "runs" / str(scenario.run_id) / str(scenario.token)
    write_files(folder, {f"part-{number:04}": FILE for number in range(1, files + 1)})
    await history.system.publish(*scenario.everything)
    await wait_for_state(client, scenario, "succeeded")
    return scenario


async def fetch_artifacts(client: httpx.AsyncClient, scenario: RunScenario) -> list[dict[str, Any]]:
    response = await client.get("/api/v1/artifacts", params={"run_id": str(scenario.run_id), "sort": "name"})
    found: list[dict[str, Any]] = response.json()["items"]
    return found


async def read_audit_trail(history: History, tenant_id: UUID, until: str) -> list[events.AuditRecorded]:
    """Return a tenant's entries up to the first one of this action."""
    found: list[events.AuditRecorded] = []
    async with Listener(history.system.kafka, "sluice.audit", from_beginning=True) as listener:
        while not found or found[-1].action != until:
            entry = await listener.find(lambda event: getattr(event, "tenant_id", None) == tenant_id)
            assert isinstance(entry, events.AuditRecorded)
            found.append(entry)
    return found


async def test_A1_several_files_come_as_one_zip(history: History, operator: httpx.AsyncClient) -> None:
    scenario = await finish_run(history, operator, files=3)
    files = await fetch_artifacts(operator, scenario)
    response = await operator.get("/api/v1/artifacts/archive", params={"id": [file["id"] for file in files]})
    assert response.status_code == 200
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [file["name"] for file in files]
        assert {hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()} == {SUM}
    assert [file["downloads"] for file in await fetch_artifacts(operator, scenario)] == [1, 1, 1]
    some = {"id": [files[0]["id"], str(uuid4())]}
    assert (await operator.get("/api/v1/artifacts/archive", params=some)).status_code == 404
    many = {"id": [str(uuid4())] * 101}
    assert (await operator.get("/api/v1/artifacts/archive", params=many)).status_code == 422


async def test_A1_an_archive_without_one_of_its_files_names_it_before_the_first_byte(
    history: History, operator: httpx.AsyncClient
) -> None:
    scenario = await finish_run(history, operator, files=3)
    files = await fetch_artifacts(operator, scenario)
    (history.store / "runs" / str(scenario.run_id) / "1" / "part-0002").unlink()
    response = await operator.get("/api/v1/artifacts/archive", params={"id": [file["id"] for file in files]})
    assert response.status_code == 404
    assert response.json()["type"].endswith("/file-missing")
    named = [file["name"] for file in files if file["name"] in response.json()["detail"]]
    assert len(named) == 1
    others = {"id": [file["id"] for file in files if file["name"] not in named]}
    assert (await operator.get("/api/v1/artifacts/archive", params=others)).status_code == 200


async def test_A1_A2_deleting_removes_the_objects_and_is_an_event(
    history: History, operator: httpx.AsyncClient
) -> None:
    scenario = await finish_run(history, operator, files=2)
    files = await fetch_artifacts(operator, scenario)
    folder = history.store / "runs" / str(scenario.run_id) / "1"
    async with Listener(history.system.kafka, "sluice.runs") as runs:
        response = await operator.delete("/api/v1/artifacts", params={"id": files[0]["id"]})
        assert response.status_code == 204, response.text
        event = await runs.find(
            lambda event: isinstance(event, events.FilesExpired) and event.run_id == scenario.run_id
        )
    assert response.status_code == 204
    assert isinstance(event, events.FilesExpired)
    assert (event.reason, len(event.objects)) == ("deleted", 1)
    assert sorted(path.name for path in folder.iterdir()) == ["part-0002"]
    assert [file["state"] for file in await fetch_artifacts(operator, scenario)] == ["deleted", "available"]
    assert (await operator.delete("/api/v1/artifacts", params={"id": files[0]["id"]})).status_code == 204

    async def in_timeline() -> bool:
        run = (await operator.get(f"/api/v1/runs/{scenario.run_id}")).json()
        return "files-deleted" in [event["kind"] for event in run["events"]]

    await eventually(in_timeline)


async def test_A2_files_are_removed_when_they_expire(history: History, operator: httpx.AsyncClient) -> None:
    scenario = await finish_run(history, operator, days_ago=31)
    folder = history.store / "runs" / str(scenario.run_id) / "1"

    async def removed() -> bool:
        rows = await history.system.fetch("history", "SELECT state FROM artifact WHERE run_id = $1", scenario.run_id)
        return [row["state"] for row in rows] == ["expired"]

    await eventually(removed)
    assert list(folder.iterdir()) == []
    [file] = await fetch_artifacts(operator, scenario)
    assert (file["state"], file["days_remaining"]) == ("expired", 0)
    assert (await operator.get(f"/api/v1/artifacts/{file['id']}/content")).status_code == 410


async def test_A2_a_tenant_can_keep_files_for_a_shorter_time(history: History) -> None:
    tenant = uuid4()
    admin = await history.client("admin", tenant_id=tenant)
    scenario = new_scenario(history)
    scenario.tenant_id, scenario.at = tenant, SystemClock().now() - timedelta(days=3, minutes=1)
    scenario.triggered().queued().started().succeeded()
    await history.system.publish(*scenario.everything)
    await wait_for_state(admin, scenario, "succeeded")
    assert (await fetch_artifact(admin, scenario))["days_remaining"] == 27
    assert (await admin.put("/api/v1/artifacts/retention", json={"days": 31})).status_code == 422
    assert (await admin.put("/api/v1/artifacts/retention", json={"days": 5})).json() == {"days": 5}
    assert (await fetch_artifact(admin, scenario))["days_remaining"] == 2
    await admin.put("/api/v1/artifacts/retention", json={"days": 2})
    assert (await fetch_artifact(admin, scenario))["state"] == "expired"

    async def removed() -> bool:
        rows = await history.system.fetch("history", "SELECT state FROM artifact WHERE run_id = $1", scenario.run_id)
        return [row["state"] for row in rows] == ["expired"]

    await eventually(removed)
    run = await admin.delete(f"/api/v1/runs/{scenario.run_id}")
    assert run.status_code == 204
    trail = await read_audit_trail(history, tenant, until="run.remove")
    assert [(each.action, each.before, each.after) for each in trail] == [
        ("retention.edit", {"days": 30}, {"days": 5}),
        ("retention.edit", {"days": 5}, {"days": 2}),
        ("run.remove", {"state": "succeeded"}, None),
    ]


async def test_A3_U5_what_users_do_with_files_and_runs_is_audited(history: History) -> None:
    tenant = uuid4()
    identity = history.identity("operator", tenant_id=tenant)
    client = await history.client_of(identity)
    scenario = new_scenario(history)
    scenario.tenant_id = tenant
    scenario.triggered().queued().started().succeeded(2, packed=len(FILE), sha256=SUM)
    folder = history.store / "runs" / str(scenario.run_id) / str(scenario.token)
    write_files(folder, {f"part-{number:04}": FILE for number in (1, 2)})
    await history.system.publish(*scenario.everything)
    await wait_for_state(client, scenario, "succeeded")
    first, second = (file["id"] for file in await fetch_artifacts(client, scenario))
    await client.get(f"/api/v1/artifacts/{first}/content", headers={"Range": "bytes=100-"})
    await client.get("/api/v1/artifacts/archive", params={"id": [first, second]})
    link = (await client.post(f"/api/v1/artifacts/{second}/link")).json()
    assert (await client.request("DELETE", "/api/v1/artifacts", params={"id": [first]})).status_code == 204
    trail = await read_audit_trail(history, tenant, until="artifact.delete")
    assert [(each.action, str(each.object_id), each.before, each.after) for each in trail] == [
        ("artifact.download", first, None, {"first_byte": 100}),
        ("artifact.download-archive", first, None, {"files": 2}),
        ("artifact.download-archive", second, None, {"files": 2}),
        ("artifact.link", second, None, {"expires_at": link["expires_at"].replace("Z", "+00:00")}),
        ("artifact.delete", first, {"state": "available"}, {"state": "deleted"}),
    ]
    assert {(each.service, each.actor_id, each.actor_name, each.object_kind) for each in trail} == {
        ("history", identity.user_id, "test", "artifact")
    }
    assert len({each.audit_id for each in trail}) == len(trail)


async def download_with_curl(history: History, file: dict[str, Any], path: str, folder: Path) -> None:
    """Run the printed commands: they resume what was cut off, save it under the file's name, and verify it."""
    url, name, content = history.api.url, file["name"], f"/api/v1/artifacts/{file['id']}/content"
    identity = history.identity("downloader")
    await history.client_of(identity)
    home = folder / "home"
    home.mkdir()
    (home / ".sluice-key").write_text(f"{auth.Token(identity.identity_id, identity.identity_id.hex)}\n")
    by_link = resume_commands(url + path, name, file["sha256"], is_link=True)
    by_key = resume_commands(url + content, name, file["sha256"])
    for number, commands in enumerate((by_link, by_key)):
        place = folder / str(number)
        place.mkdir()
        (place / name).write_bytes(FILE[:100])
        for command in commands[:2]:
            await run_in_shell(command.text, place, home)
        assert (place / name).read_bytes() == FILE
    place = folder / "remote name"
    place.mkdir()
    await run_in_shell(f"curl --fail --silent --show-error --remote-name {quote(url + path)}", place, home)
    assert [each.name for each in place.iterdir()] == [name]


async def run_in_shell(command: str, folder: Path, home: Path) -> None:
    environment = os.environ | {"HOME": str(home)}
    started = await asyncio.create_subprocess_shell(
        command, cwd=folder, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, error = await started.communicate()
    assert started.returncode == 0, error


async def test_A3_a_short_lived_link_works_without_a_login(
    history: History, operator: httpx.AsyncClient, tmp_path: Path
) -> None:
    scenario = await finish_run(history, operator)
    [file] = await fetch_artifacts(operator, scenario)
    link = (await operator.post(f"/api/v1/artifacts/{file['id']}/link")).json()
    async with httpx.AsyncClient(base_url=history.api.url) as stranger:
        response = await stranger.get(link["path"], headers={"Range": "bytes=0-9"})
        assert (response.status_code, response.content) == (206, FILE[:10])
        assert (await stranger.get(link["path"][:-1] + "!")).status_code == 404
        assert link["path"].endswith(f"/{file['name']}")
        await download_with_curl(history, file, link["path"], tmp_path)
        await history.system.fetch("history", "UPDATE link SET expires_at = now() - interval '1 second'")
        assert (await stranger.get(link["path"])).status_code == 404


async def test_H2_an_ended_run_can_be_removed_from_the_log_and_a_running_one_cannot(
    history: History, operator: httpx.AsyncClient
) -> None:
    running = new_scenario(history).triggered().queued().started()
    await history.system.publish(*running.everything)
    await wait_for_state(operator, running, "running")
    refused = await operator.delete(f"/api/v1/runs/{running.run_id}")
    assert refused.status_code == 409
    run = str(running.run_id)
    assert (refused.json()["run"], refused.json()["cancel"]) == (run, f"/api/v1/runs/{run}/cancel")
    await history.system.publish(*running.failed().runs)
    await wait_for_state(operator, running, "failed")
    assert (await operator.delete(f"/api/v1/runs/{running.run_id}")).status_code == 204

    async def gone() -> bool:
        return (await operator.get(f"/api/v1/runs/{running.run_id}")).status_code == 404

    await eventually(gone)


async def test_J11_filters_come_with_counts(history: History, operator: httpx.AsyncClient) -> None:
    job = uuid4()
    scenarios = [new_scenario(history, job_id=job).triggered().queued() for _ in range(3)]
    scenarios[0].started().failed()
    await history.system.publish(*(event for scenario in scenarios for event in scenario.everything))
    for scenario, state in zip(scenarios, ("failed", "queued", "queued"), strict=True):
        await wait_for_state(operator, scenario, state)
    counts = (await operator.get("/api/v1/runs/counts", params={"job_id": str(job)})).json()
    assert counts == {
        "state": {"failed": 1, "queued": 2},
        "type": {"interaction": 3},
        "source": {"contact_history": 3},
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/v1/artifacts"),
        ("GET", "/api/v1/artifacts/archive"),
        ("POST", "/api/v1/artifacts/{id}/link"),
        ("GET", "/api/v1/artifacts/{id}/content"),
        ("PUT", "/api/v1/artifacts/retention"),
    ],
)
async def test_U2_a_viewer_cannot_download_or_delete(history: History, method: str, path: str) -> None:
    viewer = await history.client("viewer")
    response = await viewer.request(
        method, path.replace("{id}", str(uuid4())), params={"id": str(uuid4())}, json={"days": 3}
    )
    assert response.status_code == 403


async def test_I3_a_repeated_request_for_a_link_gets_the_same_link(
    history: History, operator: httpx.AsyncClient
) -> None:
    scenario = await finish_run(history, operator, files=2)
    first, second = (file["id"] for file in await fetch_artifacts(operator, scenario))
    once = {"Idempotency-Key": "again-1"}
    made = [(await operator.post(f"/api/v1/artifacts/{first}/link", headers=once)).json() for _ in range(2)]
    assert made[0] == made[1]
    other = (await operator.post(f"/api/v1/artifacts/{first}/link")).json()
    assert other["path"] != made[0]["path"]
    conflict = await operator.post(f"/api/v1/artifacts/{second}/link", headers=once)
    assert conflict.status_code == 409
    assert conflict.json()["type"].endswith("/idempotency-conflict")
    colleague = await history.client("operator")
    theirs = await colleague.post(f"/api/v1/artifacts/{first}/link", headers=once)
    assert theirs.json()["path"] != made[0]["path"]
    async with httpx.AsyncClient(base_url=history.api.url) as stranger:
        assert (await stranger.get(made[1]["path"])).content == FILE
    [stored] = await history.system.fetch(
        "history", "SELECT answer::text FROM idempotency WHERE key = 'again-1' LIMIT 1"
    )
    assert made[0]["path"].split("/")[-2] not in stored["answer"], "the secret is not stored"


async def test_A3_U5_a_download_that_its_client_cuts_off_is_audited(
    history: History, operator: httpx.AsyncClient
) -> None:
    scenario = await finish_run(history, operator)
    [file] = await fetch_artifacts(operator, scenario)
    async with operator.stream("GET", f"/api/v1/artifacts/{file['id']}/content") as response:
        assert response.status_code == 200
    assert (await operator.request("DELETE", "/api/v1/artifacts", params={"id": [file["id"]]})).status_code == 204
    async with Listener(history.system.kafka, "sluice.audit", from_beginning=True) as listener:
        actions: list[str] = []
        while "artifact.delete" not in actions:
            entry = await listener.find(lambda event: str(getattr(event, "object_id", None)) == file["id"])
            assert isinstance(entry, events.AuditRecorded)
            actions.append(entry.action)
    assert actions == ["artifact.download", "artifact.delete"]
