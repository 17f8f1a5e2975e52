"""The page of preferences: certificates, the user's password, and for administrators API keys."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from job_api.errors import FieldFault, InvalidInput
from job_api.pages.account.account_lists import load_certificates, load_keys
from job_api.pages.kit.certificates import warn_of_expiry
from job_api.pages.kit.formats import capitalize
from job_api.pages.kit.forms import parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.labels import ROLE_LABELS
from job_api.pages.kit.notices import redirect_with_notice
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.roles import ADMINS, ANY_ROLE, OPERATORS, READERS
from job_api.service.users import PasswordChange
from job_api.sessions import get_client_address
from shared.auth import Identity

_BLANK_VALUES = {"certificate-name": "", "key-name": "", "days": "365", "next": ""}
_SUBJECTS = {"pem": "The certificate ", "current": "This ", "repeat": "This "}
"""How the error of a field begins, where its message is not a sentence about the field's value."""


async def show_preferences(request: Request) -> Response:
    """Show the page of preferences."""
    return await render_preferences(request, await require_identity(request, *ANY_ROLE))


async def change_password(request: Request) -> Response:
    """Change the user's own password, or show the page again with an error (U4)."""
    identity = await require_identity(request, *ANY_ROLE)
    form = await parse_form(request)
    if form.get("password") != form.get("repeat"):
        fault = FieldFault("repeat", "does not match the new password")
        return await render_preferences(request, identity, errors={"repeat": fault})
    services = get_services(request)
    try:
        change = PasswordChange(form.get("current"), form.get("password"), get_client_address(request))
        password_hash = await services.users.prepare_own_password(identity, change)
    except InvalidInput as error:
        return await render_preferences(request, identity, errors={each.field: each for each in error.faults})
    async with services.units.begin(identity) as work:
        await services.users.change_own_password(work, identity, password_hash)
    return redirect_with_notice("/preferences", "password-changed")


async def render_preferences(
    request: Request,
    identity: Identity,
    *,
    errors: Mapping[str, FieldFault] | None = None,
    values: Mapping[str, str] | None = None,
) -> Response:
    """Return the page; `errors` are the faults of a form by the page's fields, `values` are what was typed."""
    services, sees_certificates, manages_keys = get_services(request), identity.may(*READERS), identity.may(*ADMINS)
    now = services.clock.now()
    active = await services.certificates.list_active(identity) if sees_certificates else []
    return render(
        request,
        "account/preferences.html",
        status=422 if errors else 200,
        certificates=await load_certificates(request, identity, now) if sees_certificates else None,
        keys=await load_keys(request, identity, now) if manages_keys else None,
        warnings=warn_of_expiry(active, now) if sees_certificates else (),
        errors={name: _to_sentence(fault) for name, fault in (errors or {}).items()},
        values=_BLANK_VALUES | {"next": request.query_params.get("next", "")} | dict(values or {}),
        roles=ROLE_LABELS,
        may_write=identity.may(*OPERATORS),
        manages_keys=manages_keys,
    )


def _to_sentence(fault: FieldFault) -> str:
    return capitalize(_SUBJECTS.get(fault.field, "") + fault.message)
