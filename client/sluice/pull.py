"""Downloads the files of a run (rule A4): in parallel, resumable, verified against the run's manifest."""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import httpx

from sluice.api import Api, ApiError, retry_delay, unreachable_error
from sluice.errors import SluiceError

_CHUNK = 1024 * 1024
_ATTEMPTS = 8
_TRANSIENT = {429, 500, 502, 503, 504}

OnBytes = Callable[[str, int], None]
"""Called with a file's name and the number of its bytes downloaded so far."""


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file as the run's manifest lists it: sizes in bytes, `sha256` in hexadecimal.

    `member` is the name of its first file of records. `artifact_id` is None if the server has no such file any more;
    `state` says why.
    """

    name: str
    member: str
    artifact_id: str | None
    state: str
    rows: int
    bytes_raw: int
    size: int
    sha256: str


def list_files(api: Api, run_id: UUID | str) -> list[RunFile]:
    """Return the files of a succeeded run, in the manifest's order.

    Raises SluiceError when the run has not succeeded, or one of its files is no longer available.
    """
    run = api.get(f"/runs/{run_id}")
    if run["state"] != "succeeded":
        reason = f" {run['message']}" if run.get("message") else ""
        raise SluiceError(f"The run is {run['state']}; only a succeeded run has files.{reason}")
    manifest = api.get(f"/runs/{run_id}/manifest")
    artifacts = {each["name"]: each for each in api.items("/artifacts", run_id=run_id)}
    return [_to_file(entry, artifacts) for entry in manifest["files"]]


def fetch(
    api: Api, files: Sequence[RunFile], folder: Path, *, parallel: int, on_bytes: OnBytes = lambda name, size: None
) -> list[Path]:
    """Download files into a folder, `parallel` at a time, and return their paths in the same order.

    An interrupted download is resumed, and a complete file is not downloaded again. Raises SluiceError when a file
    cannot be downloaded or differs from the manifest; complete files stay, and partial ones are resumed next time.
    """
    for file in files:
        if file.artifact_id is None and not (folder / file.name).exists():
            raise SluiceError(f"{file.name} is {file.state}; run the job again for a new export.")
    is_stopped = threading.Event()

    def observe(name: str, size: int) -> None:
        if is_stopped.is_set():
            raise SluiceError("The download was stopped.")
        on_bytes(name, size)

    with ThreadPoolExecutor(parallel) as pool:
        downloads = [pool.submit(_fetch_one, api, file, folder, observe) for file in files]
        try:
            return [each.result() for each in downloads]
        except BaseException:
            is_stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _to_file(entry: dict[str, Any], artifacts: dict[str, dict[str, Any]]) -> RunFile:
    name = str(entry["name"])
    member = str(entry.get("member") or f"{name.removesuffix('.zip.p7m')}.jsonl")
    for each in (name, member):
        if PurePosixPath(each).name != each or "\\" in each or each in {"", ".", ".."}:
            raise SluiceError("The manifest has a file name that is unsafe to write.")
    artifact = artifacts.get(name)
    state = "missing" if artifact is None else str(artifact["state"])
    return RunFile(
        name=name,
        member=member,
        artifact_id=artifact["id"] if artifact is not None and state == "available" else None,
        state=state,
        rows=entry["rows"],
        bytes_raw=entry["bytes_raw"],
        size=entry["bytes_packed"],
        sha256=entry["sha256"],
    )


def _fetch_one(api: Api, file: RunFile, folder: Path, on_bytes: OnBytes) -> Path:
    target, partial = folder / file.name, folder / f".{file.name}.partial"
    if target.exists() and _digest(target) == file.sha256:
        on_bytes(file.name, file.size)
        return target
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _download_rest(api, file, partial, on_bytes)
            break
        except httpx.TransportError as error:
            if attempt == _ATTEMPTS:
                raise unreachable_error(f"{file.name} at the server", error) from None
        except ApiError as error:
            if attempt == _ATTEMPTS or error.status not in _TRANSIENT:
                raise
        time.sleep(retry_delay(attempt))
    if _digest(partial) != file.sha256:
        partial.unlink()
        raise SluiceError(f"{file.name} has another SHA-256 than the manifest lists; it was removed.")
    return partial.replace(target)


def _download_rest(api: Api, file: RunFile, partial: Path, on_bytes: OnBytes) -> None:
    """Download the missing bytes. Raises ApiError, and httpx.TransportError if the connection is lost."""
    size = partial.stat().st_size if partial.exists() else 0
    on_bytes(file.name, size)
    if size == file.size:
        return
    # Encrypted bytes do not compress, and a compressed response cannot be resumed.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={size}-"} if 0 < size < file.size else {})
    with api.stream(f"/artifacts/{file.artifact_id}/content", headers) as response:
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        with partial.open("ab" if resumed else "wb") as target:
            for chunk in response.iter_raw(_CHUNK):
                target.write(chunk)
                on_bytes(file.name, target.tell())


def _digest(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
