"""What the editor keeps in a draft: the form as typed, as it was opened, and what came of its last submission."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from starlette.requests import Request

from job_api.pages.jobs.job_form import JobForm
from job_api.pages.jobs.merging import SETTINGS, take_setting
from job_api.pages.kit.forms import Form, identify_submission, parse_form
from job_api.pages.kit.navigation import to_local_path

OPENED = "opened-"
"""The prefix of the hidden fields with the form as it was opened."""
CHOICE = "keep-"
"""The prefix of the choice between two values of a setting."""
DELETED, RUNS_ONCE = "deleted", "runs-once"
NOTES = {
    DELETED: "The job that you were changing has been deleted meanwhile. Nothing that you entered is lost: "
    "Save makes a new job of it.",
    RUNS_ONCE: "This job is saved and runs once, so it cannot be changed. Nothing that you entered is lost: "
    "Save makes another job of it.",
}
"""What a draft has been through, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftContent:
    """A form, the form and version that it started from, and what its last submission was refused for."""

    form: JobForm
    opened: JobForm | None = None
    version: int = 0
    errors: Mapping[str, str] = field(default_factory=dict)
    conflicts: tuple[str, ...] = ()
    note: str = ""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "DraftContent":
        """Return the content that `to_document` has described."""
        opened = document["opened"]
        return cls(
            form=JobForm.from_document(document["form"]),
            opened=JobForm.from_document(opened) if opened is not None else None,
            version=document["version"],
            errors=document["errors"],
            conflicts=tuple(name for name in document["conflicts"] if name in SETTINGS),
            note=document["note"],
        )

    def to_document(self) -> dict[str, Any]:
        """Return the content as JSON."""
        return {
            "form": self.form.to_document(),
            "opened": self.opened.to_document() if self.opened is not None else None,
            "version": self.version,
            "errors": dict(self.errors),
            "conflicts": self.conflicts,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A submitted editor: its draft, what its button asks for, where it leads afterwards, and all of its fields."""

    draft_id: UUID
    content: DraftContent
    action: str
    back: str
    fields: Form
    unresolved: Mapping[str, str]


async def read_submission(request: Request) -> Submission:
    """Return the editor that a request submits. Raises what `parse_form` raises."""
    fields = await parse_form(request)
    opened = JobForm.from_submission(fields, prefix=OPENED) if f"{OPENED}title" in fields else None
    form, unresolved = JobForm.from_submission(fields), dict[str, str]()
    for name in fields.get_all("conflict"):
        if name not in SETTINGS:
            continue
        match fields.get(CHOICE + name):
            case "theirs" if opened is not None:
                form = take_setting(form, name, opened)
            case "mine":
                continue
            case _:
                unresolved[name] = "Choose which value the job is to have."
    version, note = fields.get("version"), fields.get("note")
    content = DraftContent(
        form=form,
        opened=opened,
        version=int(version) if version.isdecimal() and len(version) < 19 else 0,
        conflicts=tuple(unresolved),
        note=note if note in NOTES else "",
    )
    return Submission(
        # Without the id of a draft, the same form is the same draft.
        draft_id=parse_id(fields.get("draft")) or uuid5(NAMESPACE_URL, str((await identify_submission(request)).key)),
        content=content,
        action=fields.get("action"),
        back=fields.get("next"),
        fields=fields,
        unresolved={CHOICE + name: message for name, message in unresolved.items()},
    )


def parse_id(text: str) -> UUID | None:
    """Return the id that a text is, if any."""
    try:
        return UUID(text)
    except ValueError:
        return None


def create_draft_id() -> UUID:
    """Return the id of a new draft."""
    return uuid4()


def to_editor(job_id: UUID | None, draft_id: UUID, *, back: str, **parameters: str) -> str:
    """Return the address of the editor that shows a draft of changes to a job, or of a new one."""
    path = f"/jobs/{job_id}/edit" if job_id else "/jobs/new"
    query = {"next": to_local_path(back)} if back else {}
    return f"{path}?{urlencode({**query, **parameters, 'draft': str(draft_id)})}"
