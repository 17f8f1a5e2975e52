"""The errors of history's domain."""

from collections.abc import Mapping
from uuid import UUID

from shared.errors import RestartRequired, SluiceError, TransientError


class EstimatesStalled(RestartRequired):
    """Messages are waiting and none is handled; a new process is the remedy."""


class ObjectMissing(SluiceError):
    """The object store does not have the object."""


class StoreUnavailable(TransientError):
    """The object store is unavailable, or failed at this attempt."""


class RunNotFound(SluiceError):
    """The tenant has no such run; another tenant may have it (rule U3)."""


class DeliveryNotFound(SluiceError):
    """The tenant has no such delivery; another tenant may have it (rule U3)."""


class DeliveryRefused(SluiceError):
    """The delivery cannot be retried or cancelled in its present state; the message says why."""


class ArtifactNotFound(SluiceError):
    """The tenant has no such artifact; another tenant may have it (rule U3)."""


class LinkInvalid(SluiceError):
    """A link does not exist or has expired."""


class RunEnded(SluiceError):
    """The run has already ended."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class RunInProgress(SluiceError):
    """The run has not ended yet."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(str(run_id))
        self.run_id = run_id


class ManifestMissing(SluiceError):
    """The run has no manifest, because it has not succeeded."""


class ArtifactGone(SluiceError):
    """The file has been removed: `state` is `expired` or `deleted`."""

    def __init__(self, name: str, state: str) -> None:
        super().__init__(f"{name}: {state}")
        self.name = name
        self.state = state


class FilesNotDeleted(SluiceError):
    """The object store has not deleted some files; all others are deleted. `reasons` are by the file's name."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__(f"not deleted: {', '.join(reasons)}")
        self.reasons = reasons


class FileMissing(SluiceError):
    """The run log has the files, the object store does not."""

    def __init__(self, *names: str) -> None:
        super().__init__(", ".join(names))
        self.names = names


class FileDamaged(SluiceError):
    """The object store has files of other sizes in place of these."""

    def __init__(self, *names: str) -> None:
        super().__init__(", ".join(names))
        self.names = names
