"""Creating and revoking API keys, for administrators (U4)."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from job_api.commands import run_once
from job_api.errors import FieldFault, InvalidInput
from job_api.pages.account.preferences import render_preferences
from job_api.pages.account.users import parse_roles
from job_api.pages.kit.forms import Form, identify_submission, parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.notices import redirect_with_notice
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.roles import ADMINS
from job_api.store import UnitOfWork
from shared.http.idempotency import RenderedResponse

MAX_DAYS = 3650


async def create_key(request: Request) -> Response:
    """Create an API key and show its token, this once."""
    identity = await require_identity(request, *ADMINS)
    services, form, submission = get_services(request), await parse_form(request), await identify_submission(request)
    name = form.get("name")

    async def create(work: UnitOfWork) -> RenderedResponse:
        issued = await services.access.create_key(work, name, parse_roles(form), lifetime=_parse_lifetime(form))
        key_id = str(issued.credential.identity_id)
        return RenderedResponse({"id": key_id}, secrets={"token": str(issued.token)})

    try:
        created = await run_once(services.units, identity, submission, command=create)
    except InvalidInput as error:
        errors = {"key-name" if each.field == "name" else each.field: each for each in error.faults}
        values = {"key-name": name, "days": form.get("days")}
        return await render_preferences(request, identity, errors=errors, values=values)
    return render(request, "account/api_key.html", name=name, token=created.secrets.get("token"))


async def confirm_revocation(request: Request) -> Response:
    """Ask for confirmation before a key is revoked."""
    identity = await require_identity(request, *ADMINS)
    key = await get_services(request).access.get_key(identity, request.path_params["key_id"])
    return render(
        request,
        "kit/confirm.html",
        section="preferences",
        question=f"Revoke the API key “{key.name}”?",
        subjects=(),
        consequence="Programs that use it lose access at once. This cannot be undone.",
        button="Revoke key",
        action=request.url.path,
        back="/preferences#keys",
        fields=(),
    )


async def revoke_key(request: Request) -> Response:
    """Revoke a key."""
    identity = await require_identity(request, *ADMINS)
    services = get_services(request)
    key = await services.access.get_key(identity, request.path_params["key_id"])
    async with services.units.begin(identity) as work:
        await services.access.revoke_key(work, key.identity_id)
    return redirect_with_notice("/preferences#keys", "key-revoked", key=key.name)


def _parse_lifetime(form: Form) -> timedelta | None:
    """Return how long the key is valid; None for no end. Raises InvalidInput."""
    text = form.get("days").strip()
    if not text:
        return None
    if not (text.isdigit() and 1 <= int(text[:9]) <= MAX_DAYS):
        raise InvalidInput(
            FieldFault("days", f"enter 1 to {MAX_DAYS}, or leave it empty for a key without an expiry date")
        )
    return timedelta(days=int(text))
