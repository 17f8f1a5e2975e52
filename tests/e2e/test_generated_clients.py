"""I1: clients are generated from the served document without a warning, and the Python one takes a job to its files."""

import hashlib
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.ports import free_port
from deploy.local.reaper import Reaper
from deploy.local.stack import Stack, run_stack, temporary_folder
from deploy.local.state import State
from tests.support.client_generators import generate_go, generate_python, generate_typescript
from tests.support.wait import eventually
from tests.unit.stream.officers import make_officer


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Reaper() as reaper:
        state = State(temporary_folder(reaper, "sluice-generated-"))
        with run_stack(state, interactions=2000, port=free_port(), report=lambda text: None) as running:
            yield running


@pytest.fixture(scope="module")
def document(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document as the public address serves it."""
    target = tmp_path_factory.mktemp("document") / "openapi.json"
    target.write_bytes(httpx.get(f"{stack.api_url}/api/v1/openapi.json").raise_for_status().content)
    return target


@pytest.fixture(scope="module")
def python(document: Path) -> Iterator[Path]:
    """A folder to import the generated Python package from."""
    folder = document.parent / "python"
    assert "WARNING" not in generate_python(document, folder)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


def test_I1_a_typescript_client_is_generated_and_compiles(document: Path) -> None:
    printed = generate_typescript(document, document.parent / "typescript").lower()
    assert "warn" not in printed
    assert "error" not in printed


def test_I1_a_go_client_is_generated_and_compiles(document: Path) -> None:
    assert generate_go(document, document.parent / "go") == ""


def call(operation: str, *path: Any, **arguments: Any) -> Any:
    """Call an operation of the generated client; a problem fails the test with its text."""
    answer = importlib.import_module(f"sluice_client.api.{operation}").sync_detailed(*path, **arguments)
    assert answer.status_code < 400, answer.content
    return answer.parsed


async def test_I1_the_python_client_takes_a_job_to_its_files(stack: Stack, python: Path) -> None:
    package = importlib.import_module("sluice_client")
    models = importlib.import_module("sluice_client.models")
    client = package.AuthenticatedClient(base_url=stack.api_url, token=stack.api_key)
    officer = make_officer("generated")
    body = models.UploadCertificateJsonCertificateBody(name="officer", pem=officer.pem.decode())
    certificate = call("certificates.upload_certificate", client=client, body=body)
    draft = models.JobDraft(
        title="From a generated client",
        source="contact_history",
        type_=models.JobDraftType.INTERACTION,
        schedule=models.ScheduleBody(kind=models.ScheduleBodyKind.ONCE, immediately=True),
        certificates=[certificate.id],
    )
    job = call("jobs.create_job", client=client, body=draft, idempotency_key="generated-1")
    again = call("jobs.create_job", client=client, body=draft, idempotency_key="generated-1")
    assert again.id == job.id

    def find_ended_run() -> Any:
        found = call("runs.list_runs", client=client, job_id=job.id).items
        return found[0] if found and found[0].ended_at else None

    run = await eventually(find_ended_run)
    assert run.state == "succeeded"
    manifest = call("runs.get_manifest", run.id, client=client)
    artifacts = call("artifacts.list_artifacts", client=client, run_id=run.id).items
    assert {each.name for each in artifacts} == {each.name for each in manifest.files}
    digests = {each.name: each.sha256 for each in manifest.files}
    for artifact in artifacts:
        file = call("artifacts.download_artifact", artifact.id, client=client)
        assert hashlib.sha256(file.payload.read()).hexdigest() == digests[artifact.name]


def test_I1_the_served_document_describes_both_services(document: Path) -> None:
    served = json.loads(document.read_text(encoding="utf-8"))
    names = {operation["operationId"] for methods in served["paths"].values() for operation in methods.values()}
    assert {"createJob", "listRuns", "downloadArtifact", "followRuns"} <= names
