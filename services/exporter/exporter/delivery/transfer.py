"""One attempt of a delivery: every file, verified at the destination, and then the manifest (rules D5 to D7)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from functools import partial
from itertools import product
from typing import get_args

from exporter.delivery.source import FileSource
from exporter.delivery.target import RemoteObject, Target, Upload
from exporter.errors import CancelRequested, DeliveryError, HandBack, LeaseLost
from exporter.runs.lease import Lease
from exporter.store.deliveries import DeliveredObject, DeliveryClaim, DeliveryStore
from shared.events import DeliveryCompleted, FileDelivered
from shared.events.values import DestinationKind
from shared.object_names import InvalidTemplate, build_name
from shared.observe import DELIVERED_BYTES, DELIVERED_FILES

_MANIFEST = "manifest.json"
for _kind, _how in product(get_args(DestinationKind), ("sent", "present")):
    DELIVERED_FILES.labels(_kind, _how)  # exists before the first file, so that an alert can see that there is none


class Transfer:
    """Delivers the files of one claim."""

    def __init__(
        self,
        claim: DeliveryClaim,
        lease: Lease,
        target: Target,
        *,
        source: FileSource,
        store: DeliveryStore,
        stopping: asyncio.Event,
    ) -> None:
        self._claim = claim
        self._lease = lease
        self._target = target
        self._source = source
        self._store = store
        self._stopping = stopping

    async def run(self) -> None:
        """Deliver what is not there yet, and record that the delivery is complete.

        Raises DeliveryError, HandBack between two files when the deliverer stops, LeaseLost, CancelRequested.
        """
        known = await self._store.list_delivered(self._claim)
        for file in self._claim.files:
            if self._stopping.is_set():
                raise HandBack
            read = partial(self._source.read, file.object)
            upload = Upload(self._name(file.name), file.bytes_packed, file.sha256, read)
            await self._deliver(file.name, upload, known)
        manifest = await self._source.read_manifest(self._claim.manifest)
        upload = Upload(
            self._name(_MANIFEST), len(manifest), hashlib.sha256(manifest).hexdigest(), partial(_read_bytes, manifest)
        )
        # After a takeover or a cancellation, no manifest of ours may appear.
        await self._lease.renew()
        self._check_lease()
        await self._deliver(_MANIFEST, upload, known)
        await self._lease.retry_while_held(partial(self._complete, upload.name))

    async def _deliver(self, file: str, upload: Upload, known: Mapping[str, DeliveredObject]) -> None:
        found = await self._target.find(upload.name)
        if found is not None and await self._is_same(upload, found, known.get(upload.name)):
            delivered = DeliveredObject(name=upload.name, size=upload.size, sha256=upload.sha256, tag=found.tag)
            await self._record(file, delivered, bytes_sent=0)
            return
        overwrite = self._claim.settings.overwrite
        if found is not None and not overwrite:
            raise DeliveryError(
                "destination-conflict",
                f"{upload.name} already exists at the destination with other content. Remove or rename it there, or "
                "allow the job to overwrite, and try again.",
            )
        self._check_lease()
        uploaded = await self._target.write(upload, overwrite=overwrite, token=self._claim.token)
        if not uploaded.is_verified and await self._hash(upload.name) != upload.sha256:
            raise DeliveryError("destination-content", f"{upload.name} differs at the destination after its transfer.")
        delivered = DeliveredObject(name=upload.name, size=upload.size, sha256=upload.sha256, tag=uploaded.tag)
        await self._record(file, delivered, bytes_sent=uploaded.bytes_sent)

    async def _is_same(self, upload: Upload, found: RemoteObject, known: DeliveredObject | None) -> bool:
        """Return whether an object at the destination is the one to be written, reading it back if need be."""
        if found.size != upload.size:
            return False
        if known is not None and known.sha256 == upload.sha256 and known.tag is not None and known.tag == found.tag:
            return True
        return await self._hash(upload.name) == upload.sha256

    async def _hash(self, name: str) -> str:
        digest = hashlib.sha256()
        async for chunk in self._target.read(name):
            digest.update(chunk)
        return digest.hexdigest()

    async def _record(self, file: str, delivered: DeliveredObject, *, bytes_sent: int) -> None:
        await self._lease.retry_while_held(partial(self._record_once, file, delivered, bytes_sent))
        DELIVERED_FILES.labels(self._claim.destination.kind, "sent" if bytes_sent else "present").inc()
        DELIVERED_BYTES.labels(self._claim.destination.kind).inc(bytes_sent)

    async def _record_once(self, file: str, delivered: DeliveredObject, bytes_sent: int) -> None:
        claim = self._claim
        async with self._store.lock_claim(claim) as (database, locked):
            await self._store.save_delivered(database, claim, delivered, at=locked.at, bytes_sent=bytes_sent)
            event = FileDelivered(
                **claim.get_event_fields(locked.seq, locked.at),
                name=file,
                object=delivered.name,
                bytes=delivered.size,
                sha256=delivered.sha256,
                sent=bytes_sent > 0,
            )
            await self._store.write_events(database, [event], locked.at)

    async def _complete(self, manifest: str) -> None:
        claim = self._claim
        async with self._store.lock_claim(claim) as (database, locked):
            await self._store.complete(database, claim)
            event = DeliveryCompleted(
                **claim.get_event_fields(locked.seq, locked.at),
                files=len(claim.files),
                bytes=sum(file.bytes_packed for file in claim.files),
                bytes_sent=locked.bytes_sent,
                manifest=manifest,
            )
            await self._store.write_events(database, [event], locked.at)

    def _name(self, file: str) -> str:
        try:
            return build_name(self._claim.settings.template, self._claim.names, file)
        except InvalidTemplate as error:
            raise DeliveryError("destination-name-refused", f"The template of the objects' names {error}.") from None

    def _check_lease(self) -> None:
        if self._lease.is_lost:
            raise LeaseLost("the lease has expired")
        if self._lease.is_cancelled:
            raise CancelRequested


async def _read_bytes(content: bytes, offset: int) -> AsyncIterator[bytes]:
    yield content[offset:]
