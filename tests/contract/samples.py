"""One event of each type and version, from which the golden examples were generated."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from shared import events
from shared.events.values import (
    DeliverySettings,
    DestinationAddress,
    DestinationTestStep,
    ExportedFile,
    JobSettings,
    Schedule,
    SealedCredentials,
    Timeframe,
    Window,
)

JOB = UUID("0192f0c1-7b1e-7000-8000-000000000001")
TENANT = UUID("0192f0c1-7b1e-7000-8000-000000000002")
RUN = UUID("0192f0c1-7b1e-5000-8000-000000000003")
USER = UUID("0192f0c1-7b1e-7000-8000-000000000004")
CERTIFICATE = UUID("0192f0c1-7b1e-7000-8000-000000000005")
DESTINATION = UUID("0192f0c1-7b1e-7000-8000-000000000008")
TEST = UUID("0192f0c1-7b1e-7000-8000-000000000009")
AT = datetime(2026, 11, 24, 10, 0, 0, 123456, UTC)
SLOT = datetime(2026, 11, 24, 10, tzinfo=UTC)
SETTINGS = JobSettings(
    title="Nightly, all mail",
    source="contact_history",
    type="interaction",
    source_tenant=101,
    timeframe=Timeframe(kind="last", count=1, unit="days"),
    media_types=("email", "chat"),
    split_size=64 * 1024 * 1024,
    certificates=(CERTIFICATE,),
    delivery=DeliverySettings(
        destinations=(DESTINATION,), template="{title}/{date}/{run}/{file}", within_hours=48, keep_days=2
    ),
)
FILE = ExportedFile(
    name="Interaction-0192f0c1-7b1e-7000-8000-000000000001-20261124T100000Z-part-0001.zip.p7m",
    kind="interaction",
    part=1,
    rows=200_000,
    bytes_raw=270_000_000,
    bytes_packed=75_000_000,
    sha256="0" * 64,
    object=f"runs/{RUN}/1/part",
)


def to_deleted(job: events.JobSaved) -> events.JobDeleted:
    """Return the event of the deletion of a job after this version of it."""
    return events.JobDeleted(job_id=job.job_id, tenant_id=job.tenant_id, version=job.version + 1, deleted_at=AT)


def tombstones() -> list[events.Event]:
    """Return one of each of the events without a value."""
    return [
        events.JobTombstone(job_id=JOB),
        events.CertificateTombstone(certificate_id=CERTIFICATE),
        events.DestinationTombstone(destination_id=DESTINATION),
        events.IdentityTombstone(identity_id=USER),
    ]


def samples() -> list[events.Event]:
    """Return one event of each type and version that has a value."""
    life: Any = {"job_id": JOB, "tenant_id": TENANT, "run_id": RUN, "token": 1, "seq": 2, "at": AT}
    success: Any = {
        **life,
        "rows": 200_000,
        "bytes_raw": 270_000_000,
        "bytes_packed": 75_000_000,
        "files": (FILE,),
        "manifest": f"runs/{RUN}/1/manifest.json",
        "data_complete_through": SLOT,
    }
    return [
        events.JobSaved(
            job_id=JOB,
            tenant_id=TENANT,
            version=3,
            state="active",
            state_reason=None,
            description="For the archive",
            settings=SETTINGS,
            schedule=Schedule(kind="daily", start=SLOT, every=1),
            catch_up="last",
            overlap="skip",
            saved_at=AT,
        ),
        events.JobDeleted(job_id=JOB, tenant_id=TENANT, version=4, deleted_at=AT),
        events.CertificateDeleted(certificate_id=CERTIFICATE, tenant_id=TENANT, version=3, deleted_at=AT),
        events.IdentityDeleted(identity_id=USER, tenant_id=TENANT, version=3, deleted_at=AT),
        events.CertificateSaved(
            certificate_id=CERTIFICATE,
            tenant_id=TENANT,
            version=1,
            name="Archive 2026",
            state="active",
            pem="-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n",
            fingerprint="ab" * 32,
            not_before=AT,
            not_after=AT + timedelta(days=365),
        ),
        events.IdentitySaved(
            identity_id=USER,
            kind="api-key",
            tenant_id=TENANT,
            user_id=USER,
            name="pipeline",
            roles=("operator",),
            secret_hash="cd" * 32,
            expires_at=None,
            revoked=False,
            version=1,
        ),
        events.SlotTriggered(
            job_id=JOB,
            tenant_id=TENANT,
            run_id=RUN,
            slot=SLOT,
            cause="schedule",
            job_version=3,
            settings=SETTINGS,
            overlap="skip",
            triggered_at=AT,
        ),
        events.SlotSkipped(
            job_id=JOB, tenant_id=TENANT, run_id=RUN, slot=SLOT, reason="missed", job_version=3, skipped_at=AT
        ),
        events.RunNow(
            job_id=JOB,
            tenant_id=TENANT,
            request_id=USER,
            job_version=3,
            settings=SETTINGS,
            overlap="skip",
            requested_by=USER,
            requested_at=AT,
        ),
        events.CancelRun(
            job_id=JOB, tenant_id=TENANT, run_id=RUN, reason="requested", requested_by=USER, requested_at=AT
        ),
        events.RunQueued(**life, slot=SLOT, cause="schedule", settings=SETTINGS),
        events.RunStarted(
            **life,
            exporter="exporter-1",
            attempt=1,
            window=Window(start=SLOT - timedelta(days=1), end=SLOT),
            recipients=("ab" * 32,),
        ),
        events.PartFinished(
            **life, kind="interaction", part=1, rows=10, bytes_raw=1000, bytes_packed=300, sha256="0" * 64
        ),
        events.RunAttemptFailed(
            **life, attempt=1, code="source-unavailable", message="The source is unavailable.", retry_at=AT
        ),
        events.RunHandedBack(**life, exporter="exporter-1"),
        events.RunSucceededV1(**success),
        events.RunSucceeded(**success, title=SETTINGS.title, type=SETTINGS.type, slot=SLOT, cause="schedule"),
        events.RunFailed(**life, attempt=5, code="source-bad-mapping", message="A view lacks a column."),
        events.RunCancelled(**life, reason="requested", requested_by=USER),
        events.RunSkipped(**life, slot=SLOT, cause="schedule", reason="overlap", settings=SETTINGS),
        events.FilesExpired(
            job_id=JOB,
            tenant_id=TENANT,
            run_id=RUN,
            objects=(FILE.object,),
            reason="expired",
            removed_by=None,
            at=AT,
        ),
        events.RunRemoved(job_id=JOB, tenant_id=TENANT, run_id=RUN, removed_by=USER, at=AT),
        events.RunProgressed(
            **life,
            phase="export",
            units_done=50_000,
            units_total=200_000,
            total_exact=True,
            bytes_done=67_000_000,
            slices=((50_000, 100_000), (0, 100_000)),
        ),
        events.AuditRecorded(
            audit_id=UUID("0192f0c1-7b1e-7000-8000-000000000006"),
            tenant_id=TENANT,
            service="history",
            at=AT,
            actor_id=USER,
            actor_name="ana",
            action="artifact.delete",
            object_kind="artifact",
            object_id=UUID("0192f0c1-7b1e-5000-8000-000000000007"),
            before={"state": "available"},
            after={"state": "deleted"},
        ),
        events.RunEstimated(**life, progress=0.25, eta_seconds=12.5, eta_low=9.0, eta_high=20.0),
        *destination_samples(),
        *delivery_samples(),
    ]


def destination_samples() -> list[events.Event]:
    """Return one event of each type and version about destinations and their tests."""
    return [
        events.DestinationSaved(
            destination_id=DESTINATION,
            tenant_id=TENANT,
            version=2,
            name="Archive bucket",
            kind="s3",
            state="active",
            address=DestinationAddress(
                bucket="archive",
                prefix="sluice/exports",
                region="eu-central-1",
                role_arn="arn:aws:iam::123456789012:role/sluice",
                external_id="sluice-6f1f3c52",
                encryption="aws:kms",
            ),
            credentials=SealedCredentials(key_id="0123456789abcdef", ciphertext="c2VhbGVk"),
            saved_at=AT,
        ),
        events.DestinationDeleted(destination_id=DESTINATION, tenant_id=TENANT, version=3, deleted_at=AT),
        events.RunDestinationTest(
            destination_id=DESTINATION, tenant_id=TENANT, test_id=TEST, version=2, requested_by=USER, requested_at=AT
        ),
        events.DestinationTested(
            destination_id=DESTINATION,
            tenant_id=TENANT,
            test_id=TEST,
            version=2,
            passed=False,
            steps=(
                DestinationTestStep(name="resolve", state="passed"),
                DestinationTestStep(
                    name="connect",
                    state="failed",
                    code="destination-unavailable",
                    message="The destination cannot be reached.",
                ),
                DestinationTestStep(name="write", state="skipped"),
            ),
            host_key=None,
            fingerprint=None,
            at=AT,
        ),
    ]


def delivery_samples() -> list[events.Event]:
    """Return one event of each type and version about deliveries, and the commands for them."""
    delivery_id = events.derive_delivery_id(RUN, DESTINATION)
    ids: Any = {"job_id": JOB, "tenant_id": TENANT, "run_id": RUN, "delivery_id": delivery_id}
    life: Any = {**ids, "destination_id": DESTINATION, "token": 1, "seq": 2, "at": AT}
    request: Any = {**ids, "requested_by": USER, "requested_at": AT}
    return [
        events.RetryDelivery(**request),
        events.CancelDelivery(**request),
        events.DeliveryCreated(
            **life,
            destination_name="Archive bucket",
            destination_kind="s3",
            title=SETTINGS.title,
            slot=SLOT,
            files=1,
            bytes=FILE.bytes_packed,
            give_up_at=AT + timedelta(hours=48),
        ),
        events.DeliveryStarted(**life, deliverer="deliverer-1", attempt=1),
        events.FileDelivered(
            **life,
            name=FILE.name,
            object=f"{JOB}/20261124T100000Z/{FILE.name}",
            bytes=FILE.bytes_packed,
            sha256=FILE.sha256,
            sent=True,
        ),
        events.DeliveryAttemptFailed(
            **life, attempt=1, code="destination-unavailable", message="The destination is unavailable.", retry_at=AT
        ),
        events.DeliveryHandedBack(**life, deliverer="deliverer-1"),
        events.DeliveryCompleted(
            **life,
            files=1,
            bytes=FILE.bytes_packed,
            bytes_sent=FILE.bytes_packed + 1_000,
            manifest=f"{JOB}/20261124T100000Z/manifest.json",
        ),
        events.DeliveryFailed(
            **life, attempt=3, code="destination-conflict", message="An object of that name has other content."
        ),
        events.DeliveryCancelled(**life, reason="requested", requested_by=USER),
        events.DeliveryRetried(**life, requested_by=USER, give_up_at=AT + timedelta(hours=48)),
    ]
