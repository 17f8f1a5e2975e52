"""Who requests a page, and whether a form comes from one of our own pages."""

from starlette.requests import Request

from job_api.pages.kit.forms import CSRF_FIELD, has_valid_csrf_token, parse_form
from job_api.pages.kit.reauthentication import PASSWORD_FIELD, log_in_again
from job_api.pages.kit.services import get_services
from shared import auth
from shared.auth import Identity
from shared.events.values import Role
from shared.http.identity import admit_identity, is_same_origin, session_of
from shared.http.problems import Problem, ProblemType


async def require_identity(request: Request, *roles: Role) -> Identity:
    """Return the identity of the session, which must have one of the roles, or any if none is given.

    Raises Problem 401 without a session, 403 without one of the roles, or for a form that is not from our own pages.
    """
    identity = await load_identity(request)
    if identity is None and request.method == "POST" and PASSWORD_FIELD in await parse_form(request):
        # The password proves more than the form's token, which is that of the session that has ended.
        await log_in_again(request)
        identity = await load_identity(request)
    elif identity is not None and request.method not in {"GET", "HEAD"}:
        await _check_form_origin(request)
    if identity is None:
        raise Problem(ProblemType.UNAUTHENTICATED, "Log in first.")
    if roles and not identity.may(*roles):
        detail = f"This page requires the role {' or '.join(roles)}; ask an administrator."
        raise Problem(ProblemType.ACCESS_DENIED, detail)
    return identity


async def load_identity(request: Request) -> Identity | None:
    """Return the identity of the session, if there is one, and keep it for the page's header. Raises Problem 429."""
    token = auth.parse_token(session_of(request))
    identity = await get_services(request).access.authenticate(token) if token else None
    if identity is not None:
        admit_identity(request.scope, identity)
        request.state.tenant_name = await get_services(request).tenants.get_name(identity)
    request.state.identity = identity
    return identity


async def _check_form_origin(request: Request) -> None:
    if not is_same_origin(request):
        raise Problem(ProblemType.CROSS_SITE, "This can only be done from Sluice's own pages.")
    if not has_valid_csrf_token(request, (await parse_form(request)).get(CSRF_FIELD)):
        raise Problem(ProblemType.STALE_FORM, "This form belongs to another session. Reload the page and try again.")
