"""What files are called when their run succeeds (P2)."""

from collections.abc import Mapping

from exporter.package.packer import FileNames
from exporter.source.selection import RecordKind
from exporter.store.runs import Claim
from shared.events.values import FileKind

RECORD_KIND: Mapping[FileKind, RecordKind] = {
    "interaction": RecordKind.INTERACTION,
    "interaction-attachment": RecordKind.ATTACHMENT,
    "contact": RecordKind.CONTACT,
}


def final_name(claim: Claim, kind: FileKind, number: int) -> str:
    """Return the name of file `number`, counted from 1, of one kind."""
    numbered = claim.settings.split_size is not None
    return FileNames(RECORD_KIND[kind].value, str(claim.job_id), claim.slot, numbered).file(number)
