"""Committing a run: its parts become files, the manifest is written, and all become visible at once (rule P5)."""

import json
from dataclasses import dataclass
from typing import Any

from exporter.domain.manifest import ManifestHeader, build_manifest
from exporter.domain.parts import describe_missing_rows, number_files, sum_rows_by_kind
from exporter.errors import CancelRequested, RowsMissing, TooManyFiles
from exporter.package.objects import ObjectStore
from exporter.runs.file_names import get_final_name
from exporter.runs.lease import Lease
from exporter.runs.outcome import OutcomeRecorder
from exporter.runs.preparation import PreparedRun
from exporter.runs.sweep import get_run_folder
from exporter.store.runs import LockedClaim, RunClaim, RunStore
from exporter.store.slices import SliceStore
from shared.events import ExportedFile, RunSucceeded, RunSucceededV1
from shared.outbox import EventTooLarge
from shared.record_schemas import LATEST


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """A run's files, and the key of its manifest in the object store."""

    files: tuple[ExportedFile, ...]
    manifest: str


class RunCommitter:
    """Commits one claim's run, under the claim's token."""

    def __init__(
        self,
        claim: RunClaim,
        lease: Lease,
        recorder: OutcomeRecorder,
        *,
        store: RunStore,
        slices: SliceStore,
        objects: ObjectStore,
    ) -> None:
        self._claim = claim
        self._lease = lease
        self._recorder = recorder
        self._store = store
        self._slices = slices
        self._objects = objects

    async def package(self, prepared: PreparedRun) -> RunFiles:
        """Check the finished parts' rows, number them as files, and write the manifest.

        Raises RowsMissing, LeaseLost, ObjectStoreUnavailable and ObjectStoreRefused.
        """
        claim = self._claim
        parts = await self._lease.retry_while_held(lambda: self._slices.list_parts(claim.run_id))
        slices = await self._lease.retry_while_held(lambda: self._slices.list_slices(claim.run_id))
        if (fault := describe_missing_rows(parts, slices)) is not None:
            raise RowsMissing(fault)
        files = number_files(parts, claim.settings, lambda kind, number: get_final_name(claim, kind, number))
        header = ManifestHeader(
            run_id=claim.run_id,
            job_id=claim.job_id,
            tenant_id=claim.tenant_id,
            slot=claim.slot,
            window=prepared.window,
            schema_version=LATEST,
            snapshot_rows=sum_rows_by_kind(slices),
            recipients=prepared.fingerprints,
            data_complete_through=prepared.data_complete_through,
            data_complete_note=prepared.data_complete_note,
        )
        manifest = f"{get_run_folder(claim.run_id, claim.token)}/manifest.json"
        content = build_manifest(header, files, parts, settings=claim.settings)
        await self._objects.put(manifest, json.dumps(content, indent=2, ensure_ascii=False).encode())
        return RunFiles(files=files, manifest=manifest)

    async def commit(self, prepared: PreparedRun, run_files: RunFiles) -> None:
        """Make the run succeed and its files visible, in one transaction.

        Raises LeaseLost, CancelRequested or TooManyFiles.
        """
        await self._lease.retry_while_held(lambda: self._commit_once(prepared, run_files))

    async def _commit_once(self, prepared: PreparedRun, run_files: RunFiles) -> None:
        claim = self._claim
        async with self._store.lock_claim(claim) as (database, locked):
            if locked.cancel_reason is not None:
                raise CancelRequested
            event = self._build_event(prepared, run_files, locked)
            await self._store.end_run(database, claim, "succeeded")
            if prepared.data_complete_through is not None:
                await self._store.save_watermark(database, claim.job_id, prepared.data_complete_through)
            try:
                await self._store.write_events(database, [event], locked.at)
            except EventTooLarge:
                raise TooManyFiles(
                    f"The export has {len(run_files.files):,} files, more than a run can list: set a larger file split "
                    "size in the job."
                ) from None

    def _build_event(
        self, prepared: PreparedRun, run_files: RunFiles, locked: LockedClaim
    ) -> RunSucceeded | RunSucceededV1:
        claim, files = self._claim, run_files.files
        fields: dict[str, Any] = {
            **self._recorder.get_event_fields(locked),
            "rows": sum(file.rows for file in files),
            "bytes_raw": sum(file.bytes_raw for file in files),
            "bytes_packed": sum(file.bytes_packed for file in files),
            "files": files,
            "manifest": run_files.manifest,
            "data_complete_through": prepared.data_complete_through,
        }
        if claim.cause is None:
            return RunSucceededV1(**fields)
        return RunSucceeded(
            **fields,
            title=claim.settings.title,
            type=claim.settings.type,
            slot=claim.slot,
            cause=claim.cause,
            data_complete_note=prepared.data_complete_note,
        )
