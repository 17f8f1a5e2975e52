"""The servers of the measurements: Kafka, PostgreSQL, SeaweedFS over TLS and OpenSSH, removed afterwards."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from shared import events
from tests.bench.history.servers import open_system
from tests.support.authority import Authority
from tests.support.deliveries import DeliverySystem
from tests.support.faulty_proxy import FaultyProxy, open_faulty_proxy
from tests.support.s3 import REGION, S3
from tests.support.sftp import OpenSsh

PREFIX = "in"


@dataclass
class Stage:
    """What a measurement needs; connections to the S3 destination go through `line`, which can fail."""

    deliveries: DeliverySystem
    s3: S3
    ssh: OpenSsh
    line: FaultyProxy
    bucket: str
    folder: Path

    def make_s3(self, endpoint: str | None = None, tenant: UUID | None = None) -> events.DestinationSaved:
        """Return a destination in the bucket."""
        address = events.DestinationAddress(
            bucket=self.bucket,
            prefix=PREFIX,
            region=REGION,
            endpoint=endpoint or self.line.redirect(self.s3.tls_endpoint),
        )
        keys = {"access_key_id": self.s3.access_key, "secret_access_key": self.s3.secret_key}
        return self.deliveries.make_destination("s3", address, keys, tenant=tenant)

    def make_sftp(self) -> events.DestinationSaved:
        """Return a destination in the folder of the SFTP server."""
        address = events.DestinationAddress(
            host="127.0.0.1",
            port=self.ssh.port,
            path=str(self.folder),
            user_name=self.ssh.user_name,
            host_key=self.ssh.host_key,
        )
        return self.deliveries.make_destination("sftp", address, {"private_key": self.ssh.private_key})

    def read_s3(self, name: str) -> bytes | None:
        """Return an object of the bucket; None when there is none."""
        answer = self.s3.call("GET", f"/{self.bucket}/{PREFIX}/{name}")
        return answer.content if answer.status_code == 200 else None

    def has_s3(self, name: str) -> bool:
        """Return whether there is an object."""
        return self.s3.call("HEAD", f"/{self.bucket}/{PREFIX}/{name}").status_code == 200


@asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    """Open the servers; no deliverer is started."""
    async with open_system() as system:
        base = system.folder.parent
        store, folder, authority = base / "store", base / "delivered", base / "authority"
        for each in (store, folder, authority):
            each.mkdir()
        signer = Authority(authority)
        s3 = S3(base / "s3", system.reaper, tls=signer.sign("s3", "127.0.0.1"))
        ssh = OpenSsh(base / "sshd", system.reaper)
        s3.start()
        ssh.start()
        try:
            with open_faulty_proxy(s3.tls_endpoint) as line:
                deliveries = DeliverySystem(system, store, signer.ca)
                yield Stage(deliveries, s3, ssh, line, s3.create_bucket(), folder)
        finally:
            system.stop()
            s3.kill()
            ssh.kill()
