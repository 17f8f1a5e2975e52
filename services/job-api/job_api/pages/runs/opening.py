"""How a file is opened: the literal commands for this file and for each of its recipients (P2, P3, A3)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from starlette.requests import Request
from starlette.responses import Response

from job_api.history_client import is_unavailable
from job_api.pages.kit.commands import PrintedCommand, opening_commands, resume_commands
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.pages.runs.history_pages import render_unavailable
from job_api.roles import ANY_ROLE
from job_api.store.certificates import Certificate
from shared.http.problems import Problem

_MAX_RECIPIENTS = 10
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class RecipientCommands:
    """The commands for one recipient: the certificate's name, its fingerprint, and the commands."""

    name: str
    fingerprint: str
    commands: tuple[PrintedCommand, ...]


async def show_opening(request: Request) -> Response:
    """Show how a file is downloaded and opened. Raises Problem 404 for one that does not exist."""
    identity = await require_identity(request, *ANY_ROLE)
    services, artifact_id = get_services(request), request.path_params["artifact_id"]
    try:
        file = await services.history.get(request, f"/artifacts/{artifact_id}")
        run = await services.history.get(request, f"/runs/{file['run_id']}")
    except Problem as problem:
        if is_unavailable(problem):
            return render_unavailable(request, problem, title="How to open a file", section="artifacts")
        raise
    known = await services.certificates.list_by_fingerprint(identity, run["recipients"])
    address = urljoin(str(request.base_url), f"/api/v1/artifacts/{file['id']}/content")
    return render(
        request,
        "runs/opening.html",
        file=file,
        download=resume_commands(address, file["name"], file["sha256"]),
        recipients=list_recipients(file, run["recipients"][:_MAX_RECIPIENTS], known),
        recipients_left_out=max(0, len(run["recipients"]) - _MAX_RECIPIENTS),
    )


def list_recipients(
    file: Mapping[str, Any], fingerprints: Sequence[str], known: Sequence[Certificate]
) -> list[RecipientCommands]:
    """Return the commands that open a file for each of its recipients, named after their certificates."""
    names = {each.fingerprint: each.name for each in known}
    return [
        RecipientCommands(
            names.get(fingerprint, "A certificate that is no longer kept"),
            fingerprint,
            opening_commands(file["name"], to_file_stem(names.get(fingerprint, "recipient"))),
        )
        for fingerprint in fingerprints
    ]


def to_file_stem(name: str) -> str:
    """Return a certificate's name as the beginning of file names that need no quoting in any shell."""
    return _UNSAFE.sub("-", name).strip("-.").lower() or "recipient"
