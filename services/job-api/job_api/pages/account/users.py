"""Users, for administrators: added, given roles, disabled and enabled again (U2)."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from job_api.commands import run_once
from job_api.errors import InvalidInput, OperationRefused
from job_api.pages.account.account_lists import load_users
from job_api.pages.kit.formats import capitalize
from job_api.pages.kit.forms import Form, identify_submission, parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.labels import ROLE_LABELS
from job_api.pages.kit.notices import redirect_with_notice
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.roles import ADMINS
from job_api.service.users import UserChange
from job_api.store import UnitOfWork
from job_api.store.identities import User
from shared.auth import Identity
from shared.events.values import Role
from shared.http.idempotency import RenderedResponse


async def show_users(request: Request) -> Response:
    """Show a page of the users."""
    return await _render_list(request, await require_identity(request, *ADMINS), Form(()), errors={})


async def create_user(request: Request) -> Response:
    """Add a user, or show the list again with errors; a generated password is shown this once."""
    identity = await require_identity(request, *ADMINS)
    services, form, submission = get_services(request), await parse_form(request), await identify_submission(request)
    name, password = form.get("name"), form.get("password") or None

    async def create(work: UnitOfWork) -> RenderedResponse:
        user_id = str((await services.users.create(work, new)).user_id)
        return RenderedResponse({"id": user_id}, secrets={"password": new.generated})

    try:
        new = await services.users.prepare_user(name, parse_roles(form), password)
        created = await run_once(services.units, identity, submission, command=create)
    except InvalidInput as error:
        errors = {each.field: each.message for each in error.faults}
        return await _render_list(request, identity, form, errors=errors)
    except OperationRefused as error:
        return await _render_list(request, identity, form, errors={"name": error.detail})
    if password is not None:
        return redirect_with_notice("/users", "user-created", user=name)
    return render(request, "account/user_created.html", name=name, password=created.secrets.get("password"))


async def show_user(request: Request) -> Response:
    """Show one user with a form to change it. Raises NotFound."""
    identity = await require_identity(request, *ADMINS)
    user = await get_services(request).users.get(identity, request.path_params["user_id"])
    return _render_user(request, user, UserChange(user.roles, user.disabled), errors={})


async def change_user(request: Request) -> Response:
    """Change a user's roles or password, or disable the user; or show the form again with errors."""
    identity = await require_identity(request, *ADMINS)
    services, form, user_id = get_services(request), await parse_form(request), request.path_params["user_id"]
    change = UserChange(parse_roles(form), form.get("disabled") == "yes")
    user = await services.users.get(identity, user_id)
    try:
        change = await services.users.prepare_change(
            roles=change.roles, disabled=change.disabled, password=form.get("password") or None
        )
        async with services.units.begin(identity) as work:
            await services.users.change(work, user_id, change, caller=identity)
    except InvalidInput as error:
        errors = {each.field: each.message for each in error.faults}
    except OperationRefused as error:
        errors = {"roles": error.detail}
    else:
        return redirect_with_notice("/users", "user-saved", user=user.name)
    return _render_user(request, await services.users.get(identity, user_id), change, errors=errors)


def parse_roles(form: Form) -> tuple[Role, ...]:
    """Return the roles whose boxes are ticked in a form."""
    return tuple(role for role in ROLE_LABELS if role in form.get_all("role"))


def _render_user(request: Request, user: User, change: UserChange, *, errors: Mapping[str, str]) -> Response:
    return render(
        request,
        "account/user.html",
        status=422 if errors else 200,
        user=user,
        selected_roles=user.roles if change.roles is None else change.roles,
        disabled=bool(change.disabled),
        roles=ROLE_LABELS,
        errors={name: capitalize(message) for name, message in errors.items()},
    )


async def _render_list(request: Request, identity: Identity, form: Form, *, errors: Mapping[str, str]) -> Response:
    return render(
        request,
        "account/users.html",
        status=422 if errors else 200,
        users=await load_users(request, identity),
        errors={name: capitalize(message) for name, message in errors.items()},
        name=form.get("name"),
        selected_roles=parse_roles(form),
        roles=ROLE_LABELS,
    )
