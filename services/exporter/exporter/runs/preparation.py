"""Preparing a claimed run before any data is read: its recipients and its window (rules P3 and T4)."""

from dataclasses import dataclass
from datetime import UTC, datetime

from exporter.domain.windows import resolve_window
from exporter.errors import SourceNumberMismatch, SourceNumberUnknown
from exporter.package.recipients import accept_recipients
from exporter.runs.lease import Lease
from exporter.settings import Settings
from exporter.source.watermark import WatermarkPolicy, find_watermark
from exporter.store.runs import RunClaim, RunStore
from shared.clock import Clock
from shared.events import Window

_NUMBER_WAIT_SECONDS, _NUMBER_POLL_SECONDS = 15.0, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """A run's window and recipients: `certificates` in PEM, `fingerprints` in hex (SHA-256).

    The source's server must have replayed its log up to `position` before it is read.
    """

    window: Window
    data_complete_through: datetime | None
    data_complete_note: str | None
    position: str | None
    certificates: tuple[str, ...]
    fingerprints: tuple[str, ...]


async def prepare_run(
    claim: RunClaim, lease: Lease, store: RunStore, *, settings: Settings, clock: Clock
) -> PreparedRun:
    """Resolve a run's certificates and window; the window of an earlier attempt stays.

    Raises CertificateRefused, SourceNumberMismatch, SourceNumberUnknown, LeaseLost and, for `since_last_run`,
    SourceUnavailable, SourceBehind, SourceAccessRefused or WatermarkUnsupported.
    """
    job = claim.settings
    pems = await lease.retry_while_held(lambda: store.list_certificates(claim.tenant_id, job.certificates))
    # Before any data is read (P3): without recipients the run ends here.
    recipients = accept_recipients(
        [pem.encode() for pem in pems], clock.now().astimezone(UTC), are_default=job.certificates is None
    )
    await _check_source_number(claim, lease, store, clock=clock)
    window = claim.window or resolve_window(job.timeframe, claim.slot, claim.watermark)
    note, position = claim.window_note, claim.window_position
    is_incremental = job.timeframe.kind == "since_last_run"
    if is_incremental and window.end is None:
        policy = WatermarkPolicy(
            primary=settings.source_primary, hold_back=settings.hold_back, stall=settings.source_stall
        )
        watermark = await find_watermark(settings.source, policy, since=window.start)
        window = Window(start=window.start, end=watermark.at)
        note, position = watermark.note, watermark.position
    return PreparedRun(
        window=window,
        data_complete_through=window.end if is_incremental else None,
        data_complete_note=note,
        position=position,
        certificates=tuple(pems),
        fingerprints=tuple(each.fingerprint for each in recipients),
    )


async def _check_source_number(claim: RunClaim, lease: Lease, store: RunStore, *, clock: Clock) -> None:
    """Check that the run reads its own tenant's rows (rule E8), by what job-api published and not by the trigger.

    A trigger can arrive before the job that it belongs to: they are messages of two topics.
    """
    number = await lease.retry_while_held(lambda: store.find_source_number(claim.tenant_id))
    waited = 0.0
    while number is None and waited < _NUMBER_WAIT_SECONDS:
        await clock.sleep(_NUMBER_POLL_SECONDS)
        waited += _NUMBER_POLL_SECONDS
        number = await lease.retry_while_held(lambda: store.find_source_number(claim.tenant_id))
    if number is None:
        raise SourceNumberUnknown(
            "The number of this tenant's rows in the source is not known here: no job of the tenant has arrived from "
            "job-api. If that lasts, run: python -m job_api republish"
        )
    if number != claim.settings.source_tenant:
        raise SourceNumberMismatch(
            f"The run's settings name the number {claim.settings.source_tenant} in the source, which is not this "
            "tenant's. Nothing was read."
        )
