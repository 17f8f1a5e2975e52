"""A system whose exporters read the sample contact history and write to a folder."""

import json
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from deploy.sample.load import load
from exporter.runs.admission import AdmissionService
from exporter.store.statements import SQL
from shared import events
from shared.clock import SystemClock
from shared.postgres import open_pool
from shared.timetable import derive_run_id, truncate_to_second
from tests.contract.samples import SETTINGS
from tests.support.system import Service, System
from tests.support.wait import eventually
from tests.unit.stream.officers import Officer, make_officer

READER_PASSWORD = "reader-password"
INTERACTIONS = 4000


@dataclass
class ExportSystem:
    """Starts exporters, sends them events, and reads what they have written."""

    system: System
    history: str
    store: Path
    tenant: UUID = field(default_factory=uuid4)
    officer: Officer = field(default_factory=lambda: make_officer("officer"))

    async def insert_source_number(self, tenant: UUID | None = None, number: int = SETTINGS.source_tenant) -> None:
        """Insert a tenant's number in the source, as exporters do when a job of the tenant arrives."""
        statement = SQL["save_source_numbers"]
        await self.system.fetch("exporter", statement, [tenant or self.tenant], [number])

    async def insert_certificate(self, tenant: UUID | None = None, number: int = SETTINGS.source_tenant) -> None:
        """Insert the certificate and the source number, while no exporter runs that would admit them."""
        await self.insert_source_number(tenant, number)
        await self.system.fetch(
            "exporter",
            "INSERT INTO certificate (certificate_id, tenant_id, version, active, pem) VALUES ($1, $2, 1, true, $3)",
            uuid4(),
            tenant or self.tenant,
            self.officer.pem.decode(),
        )

    async def publish_certificate(self, tenant: UUID | None = None) -> None:
        """Publish the certificate of a tenant, and wait until an exporter has admitted it."""
        now = SystemClock().now()
        await self.system.publish(
            events.CertificateSaved(
                certificate_id=uuid4(),
                tenant_id=tenant or self.tenant,
                version=1,
                name="officer",
                state="active",
                pem=self.officer.pem.decode(),
                fingerprint="00" * 32,
                not_before=now,
                not_after=now,
            )
        )
        known = "SELECT true FROM certificate WHERE tenant_id = $1"
        await eventually(lambda: self.system.fetch("exporter", known, tenant or self.tenant))

    async def admit(self, *triggers: events.SlotTriggered) -> None:
        """Admit triggers as an exporter does; after a kill, Kafka's group would delay them."""
        async with open_pool(self.system.dsn("exporter"), size=1, name="test") as pool:
            await AdmissionService(pool).admit(triggers)

    async def insert_cancelled_runs(self, run_ids: Sequence[UUID]) -> None:
        """Insert runs that have ended, and are to be swept now."""
        for run_id in run_ids:
            trigger = replace(self.make_trigger(), run_id=run_id)
            await self.admit(trigger)
        await self.system.fetch(
            "exporter",
            "UPDATE run SET state = 'cancelled', ended_at = clock_timestamp(), sweep_at = clock_timestamp() "
            "WHERE run_id = ANY ($1)",
            list(run_ids),
        )

    def start_exporter(self, name: str, **settings: str) -> Service:
        """Start an exporter, by default over the sample contact history and with a lease of 3 s."""
        reader = self.system.databases.dsn(self.history, role="sluice_reader", password=READER_PASSWORD)
        settings = {"SOURCE": reader, "STORE": self.store.as_uri(), "NAME": name, "LEASE": "PT3S", **settings}
        return self.system.start("exporter", "run", settings)

    def make_trigger(
        self, *, job: UUID | None = None, tenant: UUID | None = None, **changes: object
    ) -> events.SlotTriggered:
        """Return a trigger of an unsplit run of all interactions, with changed settings."""
        now = SystemClock().now()
        job_id = job or uuid4()
        plain = replace(
            SETTINGS,
            media_types=None,
            split_size=None,
            certificates=None,
            timeframe=events.Timeframe(),
            attempts=3,
        )
        return events.SlotTriggered(
            job_id=job_id,
            tenant_id=tenant or self.tenant,
            run_id=derive_run_id(job_id, now),
            slot=truncate_to_second(now),
            cause="immediate",
            job_version=1,
            settings=replace(plain, **changes),  # type: ignore[arg-type]  # names of its fields
            overlap="skip",
            triggered_at=now,
        )

    async def read_state(self, run_id: UUID) -> str | None:
        """Return a run's state; None before it is admitted."""
        rows = await self.system.fetch("exporter", "SELECT state FROM run WHERE run_id = $1", run_id)
        return rows[0]["state"] if rows else None

    async def wait_until_ended(self, run_id: UUID) -> str:
        """Wait for a run's terminal state and return it."""

        async def check() -> str | None:
            state = await self.read_state(run_id)
            return state if state not in {None, "queued", "running"} else None

        state = await eventually(check, timeout=120)
        assert state is not None
        return state

    async def wait_for_parts(self, run_id: UUID, least: int) -> set[str]:
        """Wait until a run has at least that many finished parts, and return their objects."""

        async def check() -> list[str]:
            rows = await self.system.fetch("exporter", "SELECT object FROM part WHERE run_id = $1", run_id)
            assert len(rows) >= least
            return ["", *(row["object"] for row in rows)]

        return set(await eventually(check)) - {""}

    def list_objects(self, run_id: UUID) -> list[str]:
        """Return the keys of a run's objects, including unfinished ones."""
        folder = self.store / "runs" / str(run_id)
        return sorted(path.relative_to(self.store).as_posix() for path in folder.rglob("*") if path.is_file())

    def read_manifest(self, run_id: UUID) -> dict[str, object]:
        """Return the content of a run's only manifest."""
        (path,) = (self.store / name for name in self.list_objects(run_id) if name.endswith("manifest.json"))
        manifest: dict[str, object] = json.loads(path.read_text())
        return manifest

    def read_records(self, path: Path) -> list[dict[str, object]]:
        """Open a file as a customer does, and return its records."""
        return [json.loads(line) for line in self.read_lines(path)]

    def read_lines(self, path: Path) -> list[bytes]:
        """Open a file as a customer does, with openssl and then zip, and return its lines."""
        with self.open_archive(path) as archive:
            return b"".join(archive.read(name) for name in archive.namelist()).split(b"\n")[:-1]

    def open_archive(self, path: Path) -> zipfile.ZipFile:
        """Decrypt a file with openssl and open the zip in it."""
        key = self.store.parent / "officer.pem"
        key.write_bytes(self.officer.key_pem())
        command = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", str(path), "-inkey", str(key), "-binary"]
        plain = subprocess.run(command, capture_output=True, check=True).stdout
        return zipfile.ZipFile(BytesIO(plain))


@pytest.fixture(scope="module")
async def exports(system: System, tmp_path_factory: pytest.TempPathFactory) -> ExportSystem:
    history = await system.databases.create()
    await load(history, interactions=INTERACTIONS, reader_password=READER_PASSWORD)
    return ExportSystem(system, history.rpartition("/")[2], tmp_path_factory.mktemp("store"))
