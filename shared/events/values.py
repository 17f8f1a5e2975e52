"""The values that events share: schedules, timeframes, windows, a run's frozen settings, exported files."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

ScheduleKind = Literal["once", "hourly", "daily", "weekly", "monthly"]
TimeframeKind = Literal["all", "fixed", "last", "since_last_run"]
TimeUnit = Literal["hours", "days", "weeks", "months"]
RecordType = Literal["interaction", "contact"]
FileKind = Literal["interaction", "interaction-attachment", "contact"]
JobState = Literal["active", "suspended"]
CatchUp = Literal["last", "all", "none"]
Overlap = Literal["skip", "queue"]
Compression = Literal["fast", "small"]
Cipher = Literal["aes-256-cbc", "aes-256-gcm"]
SlotCause = Literal["schedule", "immediate", "catch-up", "run-now"]
SlotSkipReason = Literal["suspended", "overlap", "missed", "ended"]
RunState = Literal["queued", "running", "succeeded", "failed", "cancelled", "skipped"]
Phase = Literal["count", "export", "package", "store"]
Role = Literal["admin", "operator", "downloader", "viewer"]
DestinationKind = Literal["s3", "gcs", "azure", "sftp"]
DestinationState = Literal["active", "disabled"]
Encryption = Literal["AES256", "aws:kms"]
DeliveryState = Literal["pending", "delivering", "delivered", "failed", "cancelled"]
DestinationTestStepName = Literal["resolve", "connect", "host-key", "authenticate", "write", "read", "delete"]
DestinationTestStepState = Literal["passed", "failed", "skipped"]
DEFAULT_TEMPLATE = "{job}/{slot}/{file}"
FilterOperator = Literal["eq", "ne", "in", "prefix", "range", "exists"]
FilterValue = bool | int | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a job is due. All instants are UTC."""

    kind: ScheduleKind
    """How often the job is due."""
    start: datetime
    """The instant that anchors the schedule (rule S3); when `immediately`, the instant at which it was saved."""
    immediately: bool = False
    """Whether the job starts as soon as it is saved."""
    every: int = 1
    """The interval in hours, days, weeks or months, according to `kind`; ignored for `once`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeframe:
    """Which records a job selects by time (rules T1 and T2)."""

    kind: TimeframeKind = "all"
    """`fixed` uses `start` and `end`, `last` uses `count` and `unit`, the others use neither."""
    start: datetime | None = None
    """Start of a fixed timeframe, inclusive."""
    end: datetime | None = None
    """End of a fixed timeframe, exclusive."""
    count: int | None = None
    """Length of a moving timeframe, in units."""
    unit: TimeUnit | None = None
    """Unit of a moving timeframe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The half-open interval of instants that a run reads: start <= x < end."""

    start: datetime | None = None
    """Start, inclusive; null when the interval has no lower bound."""
    end: datetime | None = None
    """End, exclusive; null when the interval has no upper bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterCondition:
    """One condition that every exported record meets (rule F1); `shared.record_filters` says what is valid."""

    column: str
    """A key of the record, as in its JSON Schema."""
    operator: FilterOperator
    """`eq`, `ne`, `in`, `prefix`, `range` or `exists`."""
    values: tuple[FilterValue, ...]
    """What is compared: several for `in`; start and exclusive end for `range`; true or false for `exists`; else one."""
    path: tuple[str, ...] = ()
    """The keys that lead to a value in `allAttributes` or `attributes`; empty for every other key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """To which destinations a job's files are delivered, and how (rules D4 and D6)."""

    destinations: tuple[UUID, ...]
    """The destinations that receive every file of every run."""
    template: str = DEFAULT_TEMPLATE
    """The names of the objects below the destination's prefix; `shared.object_names` says what it may contain."""
    overwrite: bool = False
    """Whether an object of the same name with other content is replaced; otherwise the delivery fails."""
    within_hours: int = 24
    """How long a delivery is retried before it fails, in hours."""
    keep_days: int | None = None
    """How long Sluice keeps the files after all destinations have them, in days; null for the tenant's retention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """What a job exports and how. Frozen into the trigger, so that an edit never affects a run in progress."""

    title: str
    """The job's title."""
    source: str
    """Where the records come from; `contact_history` is the only source."""
    type: RecordType
    """Which records the job exports."""
    source_tenant: int
    """The number that the tenant's rows bear in the source (`tenantId`)."""
    timeframe: Timeframe
    """Which records the job selects by time."""
    media_types: tuple[str, ...] | None = None
    """The media types of the interactions to export; null for all."""
    split_size: int | None = None
    """The size at which a new file begins, in bytes of uncompressed records; null for a single file."""
    certificates: tuple[UUID, ...] | None = None
    """The recipients' certificates; null for those that are the tenant's active ones when the run starts."""
    compression: Compression = "fast"
    """`fast` for speed, `small` for smaller files."""
    cipher: Cipher = "aes-256-cbc"
    """The cipher that files are encrypted with."""
    attempts: int = 5
    """How many times a run is attempted before it fails for a transient error."""
    filter: tuple[FilterCondition, ...] | None = None
    """The conditions that every exported record meets; attachments follow their interaction. Null for all records."""
    delivery: DeliverySettings | None = None
    """Where the files are delivered; null when they stay in Sluice's own store only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """A finished file of a run."""

    name: str
    """The file's name."""
    kind: FileKind
    """Which records the file holds."""
    part: int | None
    """The file's number in a split set, from 1; null for a single file."""
    rows: int
    """Records in the file."""
    bytes_raw: int
    """The records' size before compression, in bytes."""
    bytes_packed: int
    """The file's size, compressed and encrypted, in bytes."""
    sha256: str
    """SHA-256 of the compressed and encrypted file, 64 hexadecimal digits."""
    object: str
    """The file's key in Sluice's object store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationAddress:
    """Where a destination is. Which fields apply depends on its kind; the others are null."""

    bucket: str | None = None
    """The bucket (`s3`, `gcs`) or container (`azure`)."""
    prefix: str = ""
    """The folder below which all objects are written (`s3`, `gcs`, `azure`); empty for the whole bucket."""
    region: str | None = None
    """The bucket's region (`s3`)."""
    endpoint: str | None = None
    """The store's https URL, where it is not the provider's own (`s3`, `gcs`, `azure`)."""
    virtual_host: bool = False
    """Whether the bucket is part of the endpoint's host name, not of the path (`s3` with an endpoint)."""
    role_arn: str | None = None
    """The role to assume (`s3`); null for static keys."""
    external_id: str | None = None
    """The external id with which the role is assumed; generated by Sluice, one for each tenant."""
    encryption: Encryption | None = None
    """Server-side encryption that uploads request (`s3`); null for the bucket's default."""
    kms_key: str | None = None
    """The key for `aws:kms`; null for the provider's default key."""
    account: str | None = None
    """The storage account (`azure`)."""
    host: str | None = None
    """The server's name or address (`sftp`)."""
    port: int | None = None
    """The server's port (`sftp`); null for 22."""
    path: str | None = None
    """The folder below which all files are written (`sftp`); null for the folder in which a login begins."""
    user_name: str | None = None
    """The name to log in with (`sftp`)."""
    host_key: str | None = None
    """The server's public key as in known_hosts, without the host (`ssh-ed25519 AAAA...`); null until confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedCredentials:
    """A destination's credentials, readable by the deliverers only (rule D2); `shared.sealing` opens them."""

    key_id: str
    """The public key that they are sealed to."""
    ciphertext: str
    """The sealed credentials in Base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationTestStep:
    """One step of a destination's test."""

    name: DestinationTestStepName
    """What was tried."""
    state: DestinationTestStepState
    """How it ended; `skipped` when an earlier step failed."""
    code: str | None = None
    """The error's stable code; null unless the step failed."""
    message: str | None = None
    """The error as a sentence for people; null unless the step failed."""
