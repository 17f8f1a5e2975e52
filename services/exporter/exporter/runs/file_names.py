"""The names of a run's files once it has succeeded (rule P2)."""

from exporter.package.packer import FileNames
from exporter.store.runs import RunClaim
from shared.events.values import FileKind


def get_final_name(claim: RunClaim, kind: FileKind, number: int) -> str:
    """Return the name of file `number`, counted from 1, of one kind."""
    is_split = claim.settings.split_size is not None
    names = FileNames(kind=kind, job_id=str(claim.job_id), slot=claim.slot, numbered=is_split)
    return names.get_file(number)
