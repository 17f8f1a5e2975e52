"""From history's errors to problem documents: the one place that knows both."""

from history.errors import (
    ArtifactGone,
    ArtifactNotFound,
    DeliveryNotFound,
    DeliveryRefused,
    FileDamaged,
    FileMissing,
    FilesNotDeleted,
    LinkInvalid,
    ManifestMissing,
    RunEnded,
    RunInProgress,
    RunNotFound,
)
from shared.errors import SluiceError
from shared.http.problems import Problem, ProblemType, not_found, run_in_progress

ERRORS = (
    *(RunNotFound, RunEnded, RunInProgress, ManifestMissing),
    *(ArtifactNotFound, ArtifactGone, LinkInvalid, FileMissing, FileDamaged),
    *(FilesNotDeleted, DeliveryNotFound, DeliveryRefused),
)
"""The errors that `to_problem` knows."""
_REMOVED_BECAUSE = {"expired": "it has expired", "deleted": "a user deleted it"}


def to_problem(error: SluiceError) -> Problem | None:
    """Return the problem that an error is to the caller; None for an unexpected one."""
    match error:
        case RunNotFound():
            found = not_found("run")
        case DeliveryNotFound():
            found = not_found("delivery")
        case DeliveryRefused():
            found = Problem(ProblemType.DELIVERY_STATE, str(error))
        case ArtifactNotFound():
            found = not_found("artifact")
        case LinkInvalid():
            found = Problem(ProblemType.NOT_FOUND, "This link is invalid or has expired.")
        case RunEnded():
            found = Problem(ProblemType.RUN_ENDED, f"This run has already ended: {error.state}.")
        case RunInProgress():
            found = run_in_progress(error.run_id, "This run has not ended: cancel it first.")
        case ManifestMissing():
            found = Problem(ProblemType.NO_MANIFEST, "This run has no manifest: it has not succeeded.")
        case _:
            return _to_file_problem(error)
    return found


def _to_file_problem(error: SluiceError) -> Problem | None:
    match error:
        case ArtifactGone():
            detail = f"{error.name} has been removed: {_REMOVED_BECAUSE[error.state]}."
            found = Problem(ProblemType.from_name(f"artifact-{error.state}"), detail)
        case FilesNotDeleted():
            refused = "; ".join(f"{name} ({reason})" for name, reason in error.reasons.items())
            detail = f"The object store did not delete {refused}. All others are deleted; Sluice tries these again."
            found = Problem(ProblemType.FILES_NOT_DELETED, detail)
        case FileMissing():
            names = ", ".join(error.names) or "this file"
            detail = f"The object store does not have {names}: contact an administrator."
            found = Problem(ProblemType.FILE_MISSING, detail)
        case FileDamaged():
            names = ", ".join(error.names) or "this file"
            detail = f"The object store has another file in place of {names}: contact an administrator."
            found = Problem(ProblemType.FILE_DAMAGED, detail)
        case _:
            return None
    return found
