"""Runs with files in a store, destinations, and deliverers that carry the files there: for tests and benchmarks."""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid4

from exporter.delivery.admission import DeliveryAdmission
from exporter.runs.admission import AdmissionService
from shared import events
from shared.clock import SystemClock
from shared.events.values import DestinationKind
from shared.object_names import RunNames, build_name
from shared.postgres import open_pool
from shared.sealing import CredentialsOwner, Sealer, generate_key_pair
from shared.timetable import derive_run_id, truncate_to_second
from tests.contract.samples import SETTINGS
from tests.support.system import Service, System

PRIVATE, PUBLIC = generate_key_pair()


@dataclass
class DeliverySystem:
    """Starts deliverers over a folder of finished files, and publishes runs and destinations to them."""

    system: System
    store: Path
    ca: Path
    tenant: UUID = field(default_factory=uuid4)

    def start_deliverer(self, name: str, **settings: str) -> Service:
        """Start a deliverer that may reach this machine, with a lease of 3 s."""
        variables = {
            "SLUICE_DELIVERY_POSTGRES": self.system.dsn("exporter"),
            "SLUICE_DELIVERY_STORE": self.store.as_uri(),
            "SLUICE_DELIVERY_PRIVATE_KEYS": PRIVATE,
            "SLUICE_DELIVERY_ALLOWED_NETWORKS": "127.0.0.0/8",
            "SLUICE_DELIVERY_CA_FILE": str(self.ca),
            "SLUICE_DELIVERY_NAME": name,
            "SLUICE_DELIVERY_LEASE": "PT3S",
        }
        variables |= {f"SLUICE_DELIVERY_{key}": value for key, value in settings.items()}
        return self.system.start("exporter", "deliver", variables, prefix="SLUICE_DELIVERY_")

    def make_destination(
        self,
        kind: DestinationKind,
        address: events.DestinationAddress,
        credentials: Mapping[str, str],
        *,
        tenant: UUID | None = None,
    ) -> events.DestinationSaved:
        """Return a destination's first version, with sealed credentials."""
        destination_id, owner = uuid4(), tenant or self.tenant
        sealed = Sealer(PUBLIC).seal(credentials, CredentialsOwner(owner, destination_id))
        return events.DestinationSaved(
            destination_id=destination_id,
            tenant_id=owner,
            version=1,
            name=f"destination {secrets.token_hex(3)}",
            kind=kind,
            state="active",
            address=address,
            credentials=sealed,
            saved_at=SystemClock().now(),
        )

    def reseal(self, saved: events.DestinationSaved, credentials: Mapping[str, str]) -> events.DestinationSaved:
        """Return the destination's next version with other credentials."""
        sealed = Sealer(PUBLIC).seal(credentials, CredentialsOwner(saved.tenant_id, saved.destination_id))
        return replace(saved, version=saved.version + 1, credentials=sealed)

    async def make_run(
        self,
        destinations: Iterable[UUID],
        contents: Mapping[str, bytes],
        *,
        tenant: UUID | None = None,
        **options: object,
    ) -> events.RunSucceeded:
        """Insert a succeeded run with its files and manifest in the store; return its event, which is not published."""
        now, job_id, owner = SystemClock().now(), uuid4(), tenant or self.tenant
        settings = replace(
            SETTINGS,
            delivery=events.DeliverySettings(destinations=tuple(destinations), **options),  # type: ignore[arg-type]
        )
        trigger = events.SlotTriggered(
            job_id=job_id,
            tenant_id=owner,
            run_id=derive_run_id(job_id, now),
            slot=truncate_to_second(now),
            cause="immediate",
            job_version=1,
            settings=settings,
            overlap="skip",
            triggered_at=now,
        )
        async with open_pool(self.system.dsn("exporter"), size=1, name="test") as pool:
            await AdmissionService(pool).admit([trigger])
        await self.system.fetch(
            "exporter",
            "UPDATE run SET state = 'succeeded', ended_at = clock_timestamp() WHERE run_id = $1",
            trigger.run_id,
        )
        return self._store_files(trigger, contents)

    async def admit(self, *admitted: events.Event) -> None:
        """Admit events as a deliverer does; after a kill, Kafka's group would delay them."""
        async with open_pool(self.system.dsn("exporter"), size=1, name="test") as pool:
            await DeliveryAdmission(pool).admit(admitted)

    async def read_states(self, *runs: events.RunSucceeded) -> dict[UUID, str]:
        """Return the states of the runs' deliveries."""
        rows = await self.system.fetch(
            "exporter",
            "SELECT delivery_id, state FROM delivery WHERE run_id = ANY ($1)",
            [run.run_id for run in runs],
        )
        return {row["delivery_id"]: row["state"] for row in rows}

    async def are_delivered(self, *runs: events.RunSucceeded, count: int = 1) -> bool:
        """Return whether each run has been delivered to `count` destinations."""
        states = await self.read_states(*runs)
        return len(states) == count * len(runs) and set(states.values()) == {"delivered"}

    def _store_files(self, trigger: events.SlotTriggered, contents: Mapping[str, bytes]) -> events.RunSucceeded:
        folder = self.store / "runs" / str(trigger.run_id) / "1"
        folder.mkdir(parents=True)
        files = []
        for name, content in contents.items():
            (folder / name).write_bytes(content)
            files.append(
                events.ExportedFile(
                    name=name,
                    kind="interaction",
                    part=None,
                    rows=1,
                    bytes_raw=len(content),
                    bytes_packed=len(content),
                    sha256=hashlib.sha256(content).hexdigest(),
                    object=f"runs/{trigger.run_id}/1/{name}",
                )
            )
        (folder / "manifest.json").write_text(json.dumps({"run": str(trigger.run_id), "files": list(contents)}))
        return events.RunSucceeded(
            job_id=trigger.job_id,
            tenant_id=trigger.tenant_id,
            run_id=trigger.run_id,
            token=1,
            seq=9,
            at=trigger.triggered_at,
            rows=len(files),
            bytes_raw=sum(file.bytes_raw for file in files),
            bytes_packed=sum(file.bytes_packed for file in files),
            files=tuple(files),
            manifest=f"runs/{trigger.run_id}/1/manifest.json",
            data_complete_through=None,
            title=trigger.settings.title,
            type=trigger.settings.type,
            slot=trigger.slot,
            cause=trigger.cause,
        )


def get_object_name(run: events.RunSucceeded, file: str, template: str = "{job}/{slot}/{file}") -> str:
    """Return the name of a run's file at a destination, below its prefix."""
    names = RunNames(job_id=run.job_id, run_id=run.run_id, title=run.title, type=run.type, slot=run.slot)
    return build_name(template, names, file)


def read_source(store: Path, run: events.RunSucceeded, file: str) -> bytes:
    """Return a run's file as it is in Sluice's own store."""
    return (store / "runs" / str(run.run_id) / "1" / file).read_bytes()
