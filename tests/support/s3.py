"""A real S3 server for tests: SeaweedFS as a local process, with its own keys and folder."""

import hashlib
import hmac
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from deploy.local.ports import LOOPBACK, free_port, is_free
from deploy.local.processes import SERVICE_RANK, ChildProcess, ProcessSpec, plain_environment, wait_until
from deploy.local.reaper import Reaper

REGION = "us-east-1"
MakeS3 = Callable[[], "S3"]


@dataclass
class S3:
    """One server; it can be killed and started again, and keeps its ports and its data."""

    folder: Path
    reaper: Reaper
    access_key: str = field(default_factory=lambda: f"key{secrets.token_hex(8)}")
    secret_key: str = field(default_factory=lambda: secrets.token_hex(20))
    reader_key: str = field(default_factory=lambda: f"reader{secrets.token_hex(8)}")
    reader_secret: str = field(default_factory=lambda: secrets.token_hex(20))
    tls: tuple[Path, Path] | None = None
    """Certificate and key: then it is also served over TLS, at `tls_endpoint`."""
    process: ChildProcess | None = None
    _ports: dict[str, int] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """The address for clients."""
        return f"http://{LOOPBACK}:{self._ports['s3']}"

    @property
    def tls_endpoint(self) -> str:
        """The address for clients that require TLS."""
        return f"https://{LOOPBACK}:{self._ports['https']}"

    def options(self, **others: str) -> dict[str, str]:
        """Return store options with all rights; `others` override them."""
        keys = {"access_key_id": self.access_key, "secret_access_key": self.secret_key}
        return keys | {"region": REGION, "endpoint": self.endpoint, "allow_http": "true"} | others

    def start(self) -> None:
        """Start the server and wait until it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._ports:
            self._ports = {name: _free_port_pair() for name in ("master", "volume", "filer", "s3", "https")}
        self._write_keys()
        argv = [str(Path(sys.executable).with_name("weed")), "server", f"-dir={self.folder}", *_FLAGS]
        argv += [f"-{name}.port={self._ports[name]}" for name in ("master", "volume", "filer", "s3")]
        # Otherwise each uses a port and a socket at a fixed place, in conflict with a second server.
        argv += [f"-{name}.port.grpc={self._ports[name] + 1}" for name in ("master", "volume", "filer", "s3")]
        argv += [f"-filer.localSocket={self.folder}/filer.sock", f"-s3.localSocket={self.folder}/s3.sock"]
        argv += [f"-s3.config={self._keys}"]
        if self.tls is not None:
            certificate, key = self.tls
            argv += [f"-s3.port.https={self._ports['https']}", f"-s3.cert.file={certificate}", f"-s3.key.file={key}"]
        command = ProcessSpec(
            name="S3",
            argv=argv,
            environment=plain_environment(self._environment),
            log=self.folder / "s3.log",
            folder=self.folder,
            rank=SERVICE_RANK,
            grace=5,
        )
        self.process = ChildProcess(command, self.reaper)
        wait_until(self._is_ready, self.process, limit=60)

    def kill(self) -> None:
        """End the server as a crash would; safe to call twice."""
        if self.process is not None:
            self.process.kill()
        # Sockets at a fixed place, which a killed server leaves behind.
        for name, port in self._ports.items():
            Path(f"/tmp/seaweedfs-{name}-grpc-{port + 1}.sock").unlink(missing_ok=True)

    def create_bucket(self, name: str | None = None) -> str:
        """Create a bucket and return its name."""
        name = name or f"bucket-{secrets.token_hex(6)}"
        self.call("PUT", f"/{name}").raise_for_status()
        return name

    def list_uploads(self, bucket: str) -> list[str]:
        """Return the keys of the bucket's incomplete multipart uploads."""
        answer = self.call("GET", f"/{bucket}", query="uploads=")
        answer.raise_for_status()
        return re.findall(r"<Upload>.*?<Key>(.*?)</Key>", answer.text, re.DOTALL)

    def set_quota(self, bucket: str, mib: int | None) -> None:
        """Limit the size of a bucket (MiB) with immediate effect; None removes the limit."""
        change = "-op=remove" if mib is None else f"-op=set -sizeMB={mib}"
        self._shell(f"s3.bucket.quota -name={bucket} {change}", "s3.bucket.quota.enforce -apply")

    def refuse_writes(self, bucket: str, prefixes: Sequence[str], *, refused: bool) -> None:
        """Refuse to write objects whose keys begin with one of the prefixes, or accept them again."""
        change = "-readOnly" if refused else "-delete"
        self._shell(*(f"fs.configure -locationPrefix=/buckets/{bucket}/{each} {change} -apply" for each in prefixes))

    def call(self, method: str, path: str, *, query: str = "") -> httpx.Response:
        """Send a signed request without a body to the S3 API (AWS Signature Version 4)."""
        now = datetime.now(UTC)
        day, instant, empty = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}", hashlib.sha256(b"").hexdigest()
        headers = {"host": self.endpoint.removeprefix("http://"), "x-amz-content-sha256": empty, "x-amz-date": instant}
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = "\n".join((method, path, query, lines, names, empty))
        scope = f"{day}/{REGION}/s3/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{instant}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self.secret_key}".encode()
        for each in (day, REGION, "s3", "aws4_request", to_sign):
            key = hmac.digest(key, each.encode(), "sha256")
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
        )
        return httpx.request(method, f"{self.endpoint}{path}{'?' if query else ''}{query}", headers=headers)

    @property
    def _environment(self) -> dict[str, str]:
        # For its logs, which are removed with the folder.
        return {"TMPDIR": str(self.folder)}

    @property
    def _keys(self) -> Path:
        return self.folder / "keys.json"

    def _write_keys(self) -> None:
        def identity(name: str, keys: tuple[str, str], actions: list[str]) -> dict[str, object]:
            credentials = [{"accessKey": keys[0], "secretKey": keys[1]}]
            return {"name": name, "credentials": credentials, "actions": actions}

        full_access = identity("sluice", (self.access_key, self.secret_key), ["Admin", "Read", "Write", "List"])
        read_access = identity("reader", (self.reader_key, self.reader_secret), ["Read", "List"])
        self._keys.write_text(json.dumps({"identities": [full_access, read_access]}))

    def _is_ready(self) -> bool:
        try:
            return self.call("GET", "/").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _shell(self, *commands: str) -> None:
        master = f"{LOOPBACK}:{self._ports['master']}.{self._ports['master'] + 1}"
        argv = [str(Path(sys.executable).with_name("weed")), "shell", f"-master={master}"]
        script = "\n".join(("lock", *commands, "unlock", ""))
        environment = plain_environment(self._environment)
        subprocess.run(argv, input=script, text=True, check=True, capture_output=True, timeout=60, env=environment)


_FLAGS = [
    f"-ip={LOOPBACK}",
    f"-ip.bind={LOOPBACK}",
    "-master.telemetry=false",
    # A restarted server waits this long for others in the election.
    "-master.electionTimeout=1s",
    "-master.heartbeatInterval=100ms",
    "-master.volumeSizeLimitMB=64",
    # Every bucket uses several volumes, which are growing files.
    "-volume.max=1000",
    "-volume.preStopSeconds=0",
    "-filer",
    "-s3",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",
]


def _free_port_pair() -> int:
    """Return a free port whose successor is free too; gRPC uses the latter."""
    while not is_free((port := free_port()) + 1):
        pass
    return port


@pytest.fixture(scope="session")
def s3(reaper: Reaper, servers_folder: Path) -> Iterator[S3]:
    """Return an S3 server that all tests share: create a bucket in it for each test."""
    server = S3(servers_folder / "s3", reaper)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def make_s3(reaper: Reaper, servers_folder: Path) -> Iterator[MakeS3]:
    """Return a function that creates an S3 server for this test, to start, kill and start again."""
    created: list[S3] = []

    def make() -> S3:
        created.append(S3(servers_folder / f"s3-{secrets.token_hex(4)}", reaper))
        return created[-1]

    yield make
    for server in created:
        server.kill()
