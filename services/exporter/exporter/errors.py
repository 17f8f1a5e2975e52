"""Everything that can go wrong in the exporter; errors of an export carry a code and whether a retry can help."""

from shared.errors import SluiceError


class ExportError(SluiceError):
    """An export cannot go on; the message is for people and never holds exported data."""

    code = "export-failed"
    transient = False


class SourceUnavailable(ExportError):
    """The source does not answer, or the connection to it was lost."""

    code = "source-unavailable"
    transient = True


class SnapshotGone(ExportError):
    """The snapshot of another connection cannot be joined any more."""

    code = "snapshot-gone"
    transient = True


class AccessRefused(ExportError):
    """The source refuses the login, the database or the views."""

    code = "source-access-refused"


class BadMapping(ExportError):
    """The source's views are not what the export needs, or hold a value that cannot be exported."""

    code = "source-bad-mapping"


class CertificateRefused(ExportError):
    """A recipient's certificate cannot be used; `code` says why."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class FileTooLarge(ExportError):
    """One file would pass what its encryption can hold."""

    code = "file-too-large"


class StoreUnavailable(ExportError):
    """The object store does not answer, or failed in a way that may pass."""

    code = "store-unavailable"
    transient = True


class StoreRefused(ExportError):
    """The object store refuses the credentials, the bucket or the path."""

    code = "store-refused"


class ObjectNotFound(ExportError):
    """No object has this name in the store."""

    code = "object-not-found"


class RowsMissing(ExportError):
    """The files do not hold what the snapshot held."""

    code = "rows-missing"


class LeaseLost(SluiceError):
    """The claim on a run is no longer ours: another exporter has it, or it has ended. Nothing more may be written."""


class WorkerDied(SluiceError):
    """The process that worked on a run ended without a word."""


class GiveBack(SluiceError):
    """The work is to be given back here, at the end of a part: others wait for the slot, or the exporter stops."""


class CancelAsked(SluiceError):
    """The run is to be cancelled."""
