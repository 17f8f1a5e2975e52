"""Opens exported files with OpenSSL and the standard library, as a customer without our tools does."""

import asyncio
import hashlib
import io
import json
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from obstore.store import S3Store

from shared import events
from tests.chaos.system.source import MODIFIED, StormSource
from tests.chaos.system.world import BUCKET, World
from tests.integration.job_api.certs import private_pem, rsa_key


@dataclass
class RunFiles:
    """A run's manifest and its records."""

    manifest: dict[str, Any]
    records: dict[str, list[dict[str, Any]]]
    """The records by kind of file, in the order of parts."""


class FileChecker:
    """Compares runs' files with their manifests and with the source."""

    def __init__(self, world: World, folder: Path) -> None:
        self._source: StormSource = world.source
        # Past the proxy: what is checked here is what the store has.
        self._store = S3Store(BUCKET, config=cast("Any", world.s3.options()), client_options={"allow_http": True})
        self._key = folder / "key.pem"
        self._key.touch(mode=0o600)
        self._key.write_text(private_pem(rsa_key()))

    async def list_objects(self) -> set[str]:
        """Return the keys of all objects in the store."""
        listed = self._store.list()
        return {each["path"] async for batch in listed for each in batch}

    async def read_run(self, manifest_key: str, files: Sequence[events.ExportedFile]) -> RunFiles:
        """Fetch and open a run's files. Raises AssertionError when one differs from the manifest."""
        manifest = json.loads(await self._fetch(manifest_key))
        names = [each["name"] for each in manifest["files"]]
        assert names == [file.name for file in files], f"files {files}, manifest {names}"
        records: dict[str, list[dict[str, Any]]] = {}
        for described, key in zip(manifest["files"], [file.object for file in files], strict=True):
            content = await self._fetch(key)
            assert hashlib.sha256(content).hexdigest() == described["sha256"], f"SHA-256 of {key}"
            assert len(content) == described["bytes_packed"], f"size of {key}"
            lines = await asyncio.to_thread(self._open, content)
            assert len(lines) == described["rows"], f"{len(lines)} rows in {key}"
            records.setdefault(described["kind"], []).extend(json.loads(line) for line in lines)
        found = {kind: len(each) for kind, each in records.items()}
        assert found == manifest["snapshot_rows"], f"P5: {found} rows, snapshot {manifest['snapshot_rows']}"
        return RunFiles(manifest, records)

    async def check_content(self, run: RunFiles) -> None:
        """Compare the records with the source's rows. Raises AssertionError."""
        window = run.manifest["window"]
        start, end = (
            None if window[each] is None else datetime.fromisoformat(window[each]) for each in ("start", "end")
        )
        for kind, records in run.records.items():
            expected = await self._source.read_records(kind, start, end)
            wrong = [ours["id"] for ours, theirs in zip(records, expected, strict=False) if ours != theirs]
            assert not wrong, f"{len(wrong)} {kind} records differ from the source, such as {wrong[:3]}"
            assert len(records) == len(expected), f"{len(records)} {kind} records, {len(expected)} in the source"

    def _open(self, content: bytes) -> list[bytes]:
        argv = ["openssl", "cms", "-decrypt", "-inform", "DER", "-inkey", str(self._key), "-binary"]
        opened = subprocess.run(argv, input=content, capture_output=True, check=True).stdout
        with zipfile.ZipFile(io.BytesIO(opened)) as archive:
            return [line for name in archive.namelist() for line in archive.read(name).splitlines()]

    async def _fetch(self, key: str) -> bytes:
        return bytes(await (await self._store.get_async(key)).bytes_async())


def find_gaps(runs: list[RunFiles]) -> list[str]:
    """Return where a run's window does not begin where that of the run before ended (T2); the first begins nowhere."""
    windows = [run.manifest["window"] for run in runs]
    windows.sort(key=lambda window: datetime.fromisoformat(window["end"]))
    ends = [None, *(window["end"] for window in windows)]
    pairs = zip(windows, ends, strict=False)
    return [f"{window['start']} follows {end}" for window, end in pairs if window["start"] != end]


def collect_versions(runs: list[RunFiles]) -> dict[str, set[datetime]]:
    """Return which versions of which interactions the runs of one job have exported."""
    versions: dict[str, set[datetime]] = {}
    for run in runs:
        for record in run.records.get("interaction", []):
            versions.setdefault(record["id"], set()).add(datetime.fromisoformat(record[MODIFIED]))
    return versions
