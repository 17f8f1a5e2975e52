"""A real S3 server for tests: SeaweedFS as a local process, with keys of its own, over a folder of its own."""

import hashlib
import hmac
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
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
    process: ChildProcess | None = None
    _ports: dict[str, int] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """The address clients are given."""
        return f"http://{LOOPBACK}:{self._ports['s3']}"

    def options(self, **others: str) -> dict[str, str]:
        """Return the store options of somebody who may do everything, or with others in their place."""
        keys = {"access_key_id": self.access_key, "secret_access_key": self.secret_key}
        return keys | {"region": REGION, "endpoint": self.endpoint, "allow_http": "true"} | others

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._ports:
            self._ports = {name: _pair() for name in ("master", "volume", "filer", "s3")}
        self._write_keys()
        argv = [str(Path(sys.executable).with_name("weed")), "server", f"-dir={self.folder}", *_FLAGS]
        argv += [f"-{name}.port={self._ports[name]}" for name in ("master", "volume", "filer", "s3")]
        # Each would otherwise take a port or a socket at a fixed place, which a second server does too.
        argv += [f"-{name}.port.grpc={self._ports[name] + 1}" for name in ("master", "volume", "filer", "s3")]
        argv += [f"-filer.localSocket={self.folder}/filer.sock", f"-s3.localSocket={self.folder}/s3.sock"]
        argv += [f"-s3.config={self._keys}"]
        command = ProcessSpec(
            name="S3",
            argv=argv,
            environment=plain_environment(self._surroundings),
            log=self.folder / "s3.log",
            folder=self.folder,
            rank=SERVICE_RANK,
            grace=5,
        )
        self.process = ChildProcess(command, self.reaper)
        wait_until(self._answers, self.process, limit=60)

    def kill(self) -> None:
        """End the server as a crash would; safe to call twice."""
        if self.process is not None:
            self.process.kill()
        # These always lie here, and a server that is killed leaves them behind.
        for name, port in self._ports.items():
            Path(f"/tmp/seaweedfs-{name}-grpc-{port + 1}.sock").unlink(missing_ok=True)

    def make_bucket(self, name: str | None = None) -> str:
        """Make a bucket and return its name."""
        name = name or f"bucket-{secrets.token_hex(6)}"
        self.call("PUT", f"/{name}").raise_for_status()
        return name

    def uploads(self, bucket: str) -> list[str]:
        """Return the keys of the bucket's unfinished multipart uploads, as the server lists them."""
        answer = self.call("GET", f"/{bucket}", query="uploads=")
        answer.raise_for_status()
        return re.findall(r"<Upload>.*?<Key>(.*?)</Key>", answer.text, re.DOTALL)

    def set_quota(self, bucket: str, mib: int | None) -> None:
        """Limit a bucket's size (MiB) and have the limit applied at once; None takes it back."""
        change = "-op=remove" if mib is None else f"-op=set -sizeMB={mib}"
        self._shell(f"s3.bucket.quota -name={bucket} {change}", "s3.bucket.quota.enforce -apply")

    def call(self, method: str, path: str, *, query: str = "") -> httpx.Response:
        """Send a signed request of the S3 API (AWS Signature Version 4) that has no body."""
        now = datetime.now(UTC)
        day, instant, empty = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}", hashlib.sha256(b"").hexdigest()
        headers = {"host": self.endpoint.removeprefix("http://"), "x-amz-content-sha256": empty, "x-amz-date": instant}
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = "\n".join((method, path, query, lines, names, empty))
        scope = f"{day}/{REGION}/s3/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{instant}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self.secret_key}".encode()
        for word in (day, REGION, "s3", "aws4_request", to_sign):
            key = hmac.digest(key, word.encode(), "sha256")
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
        )
        return httpx.request(method, f"{self.endpoint}{path}{'?' if query else ''}{query}", headers=headers)

    @property
    def _surroundings(self) -> dict[str, str]:
        # Its logs go there, and with the folder.
        return {"TMPDIR": str(self.folder)}

    @property
    def _keys(self) -> Path:
        return self.folder / "keys.json"

    def _write_keys(self) -> None:
        def identity(name: str, keys: tuple[str, str], actions: list[str]) -> dict[str, object]:
            credentials = [{"accessKey": keys[0], "secretKey": keys[1]}]
            return {"name": name, "credentials": credentials, "actions": actions}

        everything = identity("sluice", (self.access_key, self.secret_key), ["Admin", "Read", "Write", "List"])
        reading = identity("reader", (self.reader_key, self.reader_secret), ["Read", "List"])
        self._keys.write_text(json.dumps({"identities": [everything, reading]}))

    def _answers(self) -> bool:
        try:
            return self.call("GET", "/").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _shell(self, *commands: str) -> None:
        master = f"{LOOPBACK}:{self._ports['master']}.{self._ports['master'] + 1}"
        argv = [str(Path(sys.executable).with_name("weed")), "shell", f"-master={master}"]
        said = "\n".join(("lock", *commands, "unlock", ""))
        environment = plain_environment(self._surroundings)
        subprocess.run(argv, input=said, text=True, check=True, capture_output=True, timeout=60, env=environment)


_FLAGS = [
    f"-ip={LOOPBACK}",
    f"-ip.bind={LOOPBACK}",
    "-master.telemetry=false",
    # One that was killed stands for election again, and waits as long as this for others.
    "-master.electionTimeout=1s",
    "-master.heartbeatInterval=100ms",
    "-master.volumeSizeLimitMB=64",
    # Every bucket takes some volumes of its own, which are files that grow.
    "-volume.max=1000",
    "-volume.preStopSeconds=0",
    "-filer",
    "-s3",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",
]


def _pair() -> int:
    """Return a free port; gRPC uses the one after it."""
    while not is_free((port := free_port()) + 1):
        pass
    return port


@pytest.fixture(scope="session")
def s3(reaper: Reaper, servers_folder: Path) -> Iterator[S3]:
    """Return an S3 server that all tests share: make a bucket in it for each test."""
    server = S3(servers_folder / "s3", reaper)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def make_s3(reaper: Reaper, servers_folder: Path) -> Iterator[MakeS3]:
    """Return a function that gives the test an S3 server of its own, to start, kill and start again."""
    made: list[S3] = []

    def make() -> S3:
        made.append(S3(servers_folder / f"s3-{secrets.token_hex(4)}", reaper))
        return made[-1]

    yield make
    for server in made:
        server.kill()
