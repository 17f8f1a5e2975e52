"""The exporter's errors: those of an export, which carry a code and whether a retry can help, and those of claims."""

from typing import Literal

from shared.errors import SluiceError

# ---- An export cannot continue ----


class ExportError(SluiceError):
    """An export cannot continue. The message is for users and never contains exported data.

    `code` is stable and published in events; `transient` says whether another attempt can help (rule R5),
    `patient` that only more and later ones are likely to.
    """

    code = "export-failed"
    transient = False
    patient = False


class SourceUnavailable(ExportError):
    """The source does not answer, or the connection to it was lost."""

    code = "source-unavailable"
    transient = True


class SourceConflict(ExportError):
    """The source is a standby, and cancelled the query in favour of changes from its primary."""

    code = "source-recovery-conflict"
    transient = True
    patient = True


class SourceBehind(ExportError):
    """The source is a standby or subscriber, and has not received the changes that the run must contain."""

    code = "source-behind"
    transient = True
    patient = True


class WatermarkUnsupported(ExportError):
    """The source's views cannot be exported by their changes, since nothing says when a change becomes visible."""

    code = "source-watermark-unsupported"


class SnapshotGone(ExportError):
    """The snapshot that another connection exported can no longer be joined."""

    code = "snapshot-gone"
    transient = True


class SourceAccessRefused(ExportError):
    """The source refuses the login, the database or the views."""

    code = "source-access-refused"


class BadMapping(ExportError):
    """The source's views do not have the required form, or hold a value that cannot be exported."""

    code = "source-bad-mapping"


class CopyFormatError(ExportError):
    """The bytes are not the requested COPY, or they end too early."""

    code = "source-bad-copy"
    transient = True


class CertificateRefused(ExportError):
    """A recipient's certificate cannot be used; `code` gives the reason."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class SourceNumberMismatch(ExportError):
    """The run's settings name a number in the source that is not its tenant's: its trigger is not job-api's."""

    code = "source-number-mismatch"


class SourceNumberUnknown(ExportError):
    """No job of the tenant has arrived from job-api, so that its number in the source is not known."""

    code = "source-number-unknown"
    transient = True


class FileTooLarge(ExportError):
    """A file would exceed the limit of its cipher or of the object store."""

    code = "file-too-large"


class TooManyFiles(ExportError):
    """The run has more files than the event of its success can list."""

    code = "too-many-files"


class ObjectStoreUnavailable(ExportError):
    """The object store does not answer, or failed in a way that may be temporary."""

    code = "store-unavailable"
    transient = True


class ObjectStoreRefused(ExportError):
    """The object store refuses the credentials, the bucket or the path."""

    code = "store-refused"


class RowsMissing(ExportError):
    """The files do not contain the rows that the snapshot contained."""

    code = "rows-missing"


class WorkerFailed(ExportError):
    """The worker reported an error of its own; code, message, `transient` and `patient` are the worker's."""

    def __init__(self, message: str, *, code: str, transient: bool, patient: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.transient = transient
        self.patient = patient


# ---- A claim or its worker process ended ----


class LeaseLost(SluiceError):
    """The claim is no longer ours: another exporter has taken it over, or the run has ended. Write nothing more."""


class WorkerDied(SluiceError):
    """The worker process ended without reporting an error."""


class WorkerProtocolError(SluiceError):
    """The worker sent a message that its orders do not allow at this point."""


class HandBack(SluiceError):
    """The work is to be handed back now, at the end of a part: a run needs the worker place, or the exporter stops."""


class CancelRequested(SluiceError):
    """The run is to be cancelled."""


# ---- A delivery, or a test of a destination, cannot continue ----

DeliveryCode = Literal[
    "destination-unavailable",
    "destination-address-refused",
    "destination-redirects",
    "destination-host-key",
    "destination-login-refused",
    "destination-access-refused",
    "destination-missing",
    "destination-region",
    "destination-clock-skew",
    "destination-full",
    "destination-name-refused",
    "destination-conflict",
    "destination-content",
    "destination-disabled",
    "destination-configuration",
    "credentials-unreadable",
    "file-missing",
    "store-unavailable",
    "internal",
]
"""What can be wrong with a delivery; README of the exporter lists what each means and what helps."""

PERMANENT: frozenset[DeliveryCode] = frozenset({"destination-conflict", "destination-name-refused", "file-missing"})
"""Codes with which a delivery fails at once: the same attempt would end the same way."""

NOT_OF_DESTINATION: frozenset[DeliveryCode] = frozenset(
    {"destination-conflict", "destination-name-refused", "destination-content", "file-missing", "store-unavailable"}
)
"""Codes that say nothing about the destination as a whole, so that its other deliveries go on."""


class DeliveryError(SluiceError):
    """A delivery, or a test of a destination, cannot continue."""

    def __init__(self, code: DeliveryCode, message: str) -> None:
        super().__init__(message)
        self.code = code
