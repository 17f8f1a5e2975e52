"""Fetches the files of a run (rule A4): in parallel, resuming, checked against the run's manifest."""

import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import httpx

from sluice.api import Api, ApiRefused, pause, unreachable
from sluice.decrypt import decrypt_file
from sluice.errors import SluiceError
from sluice.recipients import Identity

_CHUNK = 1024 * 1024
_TRIES = 8
_WORTH_ANOTHER = {429, 500, 502, 503, 504}

OnBytes = Callable[[str, int], None]
"""Is told a file's name and how many of its bytes have come."""


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file as its run's manifest tells of it: sizes in bytes, `sha256` in hexadecimal."""

    name: str
    artifact: str
    rows: int
    bytes_raw: int
    size: int
    sha256: str


def files_of(api: Api, run_id: UUID | str) -> list[RunFile]:
    """Return the files of a run that has succeeded, in the manifest's order.

    Raises SluiceError when the run has not succeeded, or when a file of it is gone.
    """
    run = api.get(f"/runs/{run_id}")
    if run["state"] != "succeeded":
        why = f" {run['message']}" if run.get("message") else ""
        raise SluiceError(f"The run is {run['state']}; only a run that has succeeded has files.{why}")
    manifest = api.get(f"/runs/{run_id}/manifest")
    artifacts = {each["name"]: each for each in api.items("/artifacts", run=run_id)}
    return [_file(entry, artifacts) for entry in manifest["files"]]


def fetch(
    api: Api, files: Sequence[RunFile], folder: Path, *, parallel: int, on_bytes: OnBytes = lambda name, size: None
) -> list[Path]:
    """Fetch files into a folder, `parallel` at once, and return their paths in the same order.

    What an earlier try left is gone on with, and a file that is there whole is not fetched again. Raises SluiceError;
    then what came whole stays, and what came in part waits for the next try.
    """
    with ThreadPoolExecutor(parallel) as pool:
        fetching = [pool.submit(_fetch_one, api, file, folder, on_bytes) for file in files]
        try:
            return [each.result() for each in fetching]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def unpack_checked(path: Path, file: RunFile, identity: Identity, output: Path, *, force: bool = False) -> list[Path]:
    """Decrypt and unpack a fetched file, and hold rows and bytes to what the manifest says; return what was written.

    Raises SluiceError; then nothing of this file is left in `output`.
    """
    written = decrypt_file(path, identity, output, force=force)
    rows, size = 0, 0
    for records in written:
        with records.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                rows += chunk.count(b"\n")
                size += len(chunk)
    if (rows, size) != (file.rows, file.bytes_raw):
        for records in written:
            records.unlink()
        raise SluiceError(
            f"holds {rows} records in {size} bytes, but the manifest says {file.rows} in {file.bytes_raw}."
        )
    return written


def _file(entry: dict[str, Any], artifacts: dict[str, dict[str, Any]]) -> RunFile:
    name = str(entry["name"])
    if PurePosixPath(name).name != name or "\\" in name or name in {"", ".", ".."}:
        raise SluiceError("The manifest holds a file name that is not safe to write.")
    artifact = artifacts.get(name)
    if artifact is None or artifact["state"] != "available":
        state = "not there" if artifact is None else artifact["state"]
        raise SluiceError(f"{name} is {state}; run the job again for a new export.")
    return RunFile(
        name=name,
        artifact=artifact["id"],
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
    for attempt in range(1, _TRIES + 1):
        try:
            _continue(api, file, partial, on_bytes)
            break
        except httpx.TransportError as error:
            if attempt == _TRIES:
                raise unreachable(f"{file.name} at the server", error) from None
        except ApiRefused as error:
            if attempt == _TRIES or error.status not in _WORTH_ANOTHER:
                raise
        time.sleep(pause(attempt))
    if _digest(partial) != file.sha256:
        partial.unlink()
        raise SluiceError(f"{file.name} arrived with another SHA-256 than the manifest says; it was removed.")
    return partial.replace(target)


def _continue(api: Api, file: RunFile, partial: Path, on_bytes: OnBytes) -> None:
    """Fetch what is still missing. Raises httpx.TransportError when the answer is cut off."""
    have = partial.stat().st_size if partial.exists() else 0
    on_bytes(file.name, have)
    if have == file.size:
        return
    # Encrypted bytes do not compress, and a compressed answer could not be resumed.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if 0 < have < file.size else {})
    with api.stream(f"/artifacts/{file.artifact}/content", headers) as answer:
        resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT
        with partial.open("ab" if resumed else "wb") as target:
            for chunk in answer.iter_raw(_CHUNK):
                target.write(chunk)
                on_bytes(file.name, target.tell())


def _digest(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
