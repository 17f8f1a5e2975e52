"""`make demo`: one export from start to finish, as a customer would do it: over REST, with certificate and key."""

import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from deploy.local.demo_check import compare_with_source
from deploy.local.errors import LocalError
from deploy.local.folders import CHECKOUT
from deploy.local.stack import Stack, run_stack
from sluice.api import Api
from sluice.decrypt import decrypt_file
from sluice.errors import SluiceError
from sluice.pull import fetch, list_files
from sluice.recipients import load_recipient_key

RESULT = CHECKOUT / "demo-output"
_POLL_SECONDS = 0.25
_LONGEST_RUN = timedelta(minutes=60)
_ENDED = {"succeeded", "failed", "cancelled", "skipped"}
console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Files:
    """The demo's files: the officer's key and certificate, the downloads and the decrypted records."""

    key: Path
    certificate: Path
    downloads: Path
    records: Path


def demo(*, interactions: int) -> None:
    """Run the demo on a system of its own. Raises LocalError when anything fails or a record differs."""
    began = time.monotonic()
    with run_stack(interactions=interactions, report=_say) as stack:
        ready = time.monotonic()
        files = _create_files()
        with httpx.Client(
            base_url=stack.api_url, headers={"Authorization": f"Bearer {stack.api_key}"}, timeout=60
        ) as client:
            _upload_certificate(client, files)
            run = _follow_run(stack, client, _create_job(client))
            exported = time.monotonic()
        artifacts = _download(stack, run, files)
        _decrypt(artifacts, files)
        rows = compare_with_source(stack.source_admin_dsn, files.records, run["id"])
        checked = time.monotonic()
        _summary(stack, run, rows, (ready - began, exported - ready, checked - exported))


def _say(text: str) -> None:
    console.print(f"[cyan]>[/] {text}")


def _create_files() -> Files:
    shutil.rmtree(RESULT, ignore_errors=True)
    files = Files(RESULT / "officer.key.pem", RESULT / "officer.pem", RESULT / "downloads", RESULT / "records")
    for folder in (files.downloads, files.records):
        folder.mkdir(parents=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Demo data protection officer")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    files.key.touch(mode=0o600)
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return files


def _upload_certificate(client: httpx.Client, files: Files) -> None:
    _say("Creating a certificate and uploading it; the private key stays here")
    body = {"name": "Demo officer", "pem": files.certificate.read_text()}
    _post(client, "/api/v1/certificates", body)


def _create_job(client: httpx.Client) -> str:
    _say("Creating an export job: once, immediately, all media types, all time")
    body = {
        "title": "Demo: everything, now",
        "source": "contact_history",
        "type": "interaction",
        "schedule": {"kind": "once", "immediately": True},
        "timeframe": {"kind": "all"},
    }
    return str(_post(client, "/api/v1/jobs", body)["id"])


def _post(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(path, json=body, headers={"Idempotency-Key": secrets.token_hex(16)})
    if answer.is_error:
        raise LocalError(f"{path} answered {answer.status_code}: {answer.text}")
    created: dict[str, Any] = answer.json()
    return created


def _get(client: httpx.Client, path: str, **query: str) -> dict[str, Any]:
    answer = client.get(path, params=query)
    if answer.is_error:
        raise LocalError(f"{path} answered {answer.status_code}: {answer.text}")
    found: dict[str, Any] = answer.json()
    return found


def _follow_run(stack: Stack, client: httpx.Client, job_id: str) -> dict[str, Any]:
    until = time.monotonic() + _LONGEST_RUN.total_seconds()
    with _progress_bar("export") as (bar, task):
        while time.monotonic() < until:
            stack.supervisor.check()
            found = _get(client, "/api/v1/runs", job_id=job_id)["items"]
            if found and found[0]["state"] in _ENDED:
                _show(bar, task, found[0])
                break
            if found:
                _show(bar, task, found[0])
            time.sleep(_POLL_SECONDS)
        else:
            raise LocalError(f"the run did not end within {_LONGEST_RUN}")
    run = _get(client, f"/api/v1/runs/{found[0]['id']}")
    if run["state"] != "succeeded":
        raise LocalError(f"the run {run['state']}: {run['message'] or run['reason']}")
    return run


@contextmanager
def _progress_bar(what: str) -> Iterator[tuple[Progress, TaskID]]:
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console) as bar:
        yield bar, bar.add_task(what, total=None, left="waiting")


def _show(bar: Progress, task: TaskID, run: dict[str, Any]) -> None:
    progress, estimate = run["progress_detail"], run["estimate"]
    left = run["state"]
    if estimate is not None and run["state"] == "running":
        left = f"about {estimate['seconds']:.0f} s left ({estimate['low']:.0f} to {estimate['high']:.0f})"
    if run["state"] == "succeeded":
        bar.update(task, total=run["rows"], completed=run["rows"], left="done")
    elif progress is not None:
        bar.update(task, total=progress["units_total"], completed=progress["units_done"], left=left)
    else:
        bar.update(task, left=left)


def _download(stack: Stack, run: dict[str, Any], files: Files) -> list[Path]:
    try:
        with Api(stack.api_url, stack.api_key) as api:
            found = list_files(api, run["id"])
            for file in found:
                _say(f"Downloading {file.name} ({file.size / 1e6:.1f} MB)")
            return fetch(api, found, files.downloads, parallel=2)
    except SluiceError as error:
        raise LocalError(str(error)) from None


def _decrypt(artifacts: list[Path], files: Files) -> None:
    recipient_key = load_recipient_key(files.key.read_bytes(), None, files.certificate.read_bytes())
    openssl = shutil.which("openssl")

    def decrypt(artifact: Path) -> None:
        _say(f"Decrypting {artifact.name} with sluice decrypt" + (" and with openssl" if openssl else ""))
        decrypt_file(artifact, recipient_key, files.records, keep_zip=openssl is not None)
        if openssl is not None:
            _compare_with_openssl(openssl, artifact, files)

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(decrypt, artifacts))


def _compare_with_openssl(openssl: str, artifact: Path, files: Files) -> None:
    ours = files.records / artifact.stem
    theirs = files.records / f"{artifact.stem}.openssl"
    command: list[str | Path] = [openssl, "cms", "-decrypt", "-inform", "DER", "-binary", "-in", artifact]
    command += ["-inkey", files.key, "-recip", files.certificate, "-out", theirs]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(f"openssl could not decrypt {artifact.name}: {done.stderr.strip()}")
    if ours.read_bytes() != theirs.read_bytes():
        raise LocalError(f"openssl and sluice decrypt differ for {artifact.name}")
    ours.unlink()
    theirs.unlink()


def _summary(stack: Stack, run: dict[str, Any], rows: dict[str, int], seconds: tuple[float, float, float]) -> None:
    started, exported, checked = seconds
    raw, packed = run["bytes_raw"] / 1e6, run["bytes_packed"] / 1e6
    console.print()
    console.print("[bold green]The files contain every record of the source, unchanged.[/]")
    console.print(
        f"  rows      {sum(rows.values()):,}  ({', '.join(f'{name} {count:,}' for name, count in rows.items())})"
    )
    console.print(f"  bytes     {raw:,.1f} MB of records, {packed:,.1f} MB packed and encrypted")
    console.print(
        f"  seconds   {started:.1f} to start, {exported:.1f} from the new job to its finished files "
        f"({run['duration_seconds']:.1f} of them exporting), {checked:.1f} to download, decrypt and compare"
    )
    console.print(f"  files     {RESULT.relative_to(Path.cwd()) if RESULT.is_relative_to(Path.cwd()) else RESULT}")
    console.print("\n`make up` runs the system with its pages until Ctrl-C; this one is being stopped.")
