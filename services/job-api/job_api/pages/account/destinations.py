"""Destinations: a list, a form for each kind, tests with their steps, and the host key to confirm (D1 to D3)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from job_api.commands import run_once
from job_api.domain.destinations import DestinationChange, DestinationDraft
from job_api.errors import InvalidInput, LostUpdate, OperationRefused
from job_api.pages.account.destination_forms import (
    ADDRESS_FIELDS,
    CREDENTIAL_FIELDS,
    ENCRYPTION_OPTIONS,
    KIND_LABELS,
    keep_values,
    parse_address,
    parse_credentials,
    to_form_errors,
    to_values,
)
from job_api.pages.kit.forms import Form, identify_submission, parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.notices import redirect_with_notice
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.roles import ADMINS, READERS
from job_api.store import UnitOfWork
from job_api.store.destinations import Destination
from shared.auth import Identity
from shared.events.values import DestinationKind, DestinationState
from shared.http.idempotency import RenderedResponse
from shared.http.problems import Problem, ProblemType

PATH = "/preferences/destinations"
STEP_LABELS = {
    "resolve": "Find the address",
    "connect": "Connect",
    "host-key": "Check the host key",
    "authenticate": "Log in",
    "write": "Write a small object",
    "read": "Read it back",
    "delete": "Delete it",
}
_CHANGED = "Another user has changed this destination since you opened it. Nothing was overwritten: reload the page."


async def show_destinations(request: Request) -> Response:
    """Show the destinations, and for administrators how to add one."""
    identity = await require_identity(request, *READERS)
    services = get_services(request)
    return render(
        request,
        "account/destinations.html",
        destinations=await services.destinations.list_by_name(identity),
        kinds=KIND_LABELS,
        may_write=identity.may(*ADMINS),
        is_available=services.destinations.is_available,
    )


async def show_new_destination(request: Request) -> Response:
    """Show the form of a new destination of a kind."""
    identity = await require_identity(request, *ADMINS)
    return await _render_form(request, identity, _parse_kind(request.query_params.get("kind", "s3")))


async def create_destination(request: Request) -> Response:
    """Store a destination, or show the form again with errors and without the credentials."""
    identity = await require_identity(request, *ADMINS)
    services, form, submission = get_services(request), await parse_form(request), await identify_submission(request)
    kind = _parse_kind(form.get("kind"))
    draft = DestinationDraft(
        name=form.get("name"),
        kind=kind,
        address=parse_address(kind, form),
        credentials=parse_credentials(kind, form),
    )

    async def create(work: UnitOfWork) -> RenderedResponse:
        return RenderedResponse({"id": str((await services.destinations.create(work, draft)).destination_id)})

    try:
        created = await run_once(services.units, identity, submission, command=create)
    except InvalidInput as error:
        errors = to_form_errors(error.faults)
    except OperationRefused as error:
        errors = {"name": error.detail}
    else:
        return redirect_with_notice(f"{PATH}/{created.body['id']}", "destination-created")
    return await _render_form(request, identity, kind, errors=errors, values=keep_values(kind, form))


async def show_destination(request: Request) -> Response:
    """Show a destination with its latest test, and for administrators its form."""
    identity = await require_identity(request, *READERS)
    return await _render_destination(request, identity, await _load(request, identity))


async def change_destination(request: Request) -> Response:
    """Save changes, or show the form again with errors and without the credentials."""
    identity = await require_identity(request, *ADMINS)
    found, form = await _load(request, identity), await parse_form(request)
    change = DestinationChange(
        name=form.get("name"),
        address=parse_address(found.kind, form),
        credentials=parse_credentials(found.kind, form),
    )
    values = keep_values(found.kind, form)
    return await _change(request, identity, found, change=change, form=form, values=values)


async def switch_destination(request: Request) -> Response:
    """Disable a destination, whose deliveries then wait, or enable it."""
    identity = await require_identity(request, *ADMINS)
    found, form = await _load(request, identity), await parse_form(request)
    state: DestinationState = "disabled" if form.get("action") == "disable" else "active"
    return await _change(request, identity, found, change=DestinationChange(state=state), form=form)


async def test_destination(request: Request) -> Response:
    """Request a test of a destination."""
    identity = await require_identity(request, *ADMINS)
    services, destination_id = get_services(request), request.path_params["destination_id"]
    async with services.units.begin(identity) as work:
        await services.destinations.test(work, destination_id)
    return redirect_with_notice(f"{PATH}/{destination_id}#test", "destination-test")


async def trust_host_key(request: Request) -> Response:
    """Pin the host key whose fingerprint the user has confirmed."""
    identity = await require_identity(request, *ADMINS)
    found, form, services = await _load(request, identity), await parse_form(request), get_services(request)
    try:
        async with services.units.begin(identity) as work:
            await services.destinations.trust_host_key(
                work, found.destination_id, form.get("fingerprint"), versions=frozenset({_parse_version(form)})
            )
    except InvalidInput as error:
        return await _render_destination(request, identity, found, errors=to_form_errors(error.faults))
    except LostUpdate:
        return await _render_destination(request, identity, found, errors={"": _CHANGED})
    return redirect_with_notice(f"{PATH}/{found.destination_id}#test", "host-key-trusted")


async def confirm_deletion(request: Request) -> Response:
    """Ask for confirmation before a destination is deleted."""
    identity = await require_identity(request, *ADMINS)
    found = await _load(request, identity)
    return render(
        request,
        "kit/confirm.html",
        section="preferences",
        question=f"Delete the destination “{found.name}”?",
        subjects=(),
        consequence="Open deliveries to it are cancelled. What has been delivered stays there.",
        button="Delete destination",
        action=request.url.path,
        back=f"{PATH}/{found.destination_id}",
        fields=(("version", found.version),),
    )


async def delete_destination(request: Request) -> Response:
    """Delete a destination, or say which jobs use it."""
    identity = await require_identity(request, *ADMINS)
    found, form, services = await _load(request, identity), await parse_form(request), get_services(request)
    try:
        async with services.units.begin(identity) as work:
            await services.destinations.delete(work, found.destination_id, versions=frozenset({_parse_version(form)}))
    except OperationRefused as error:
        return await _render_destination(request, identity, found, errors={"": error.detail})
    except LostUpdate:
        return await _render_destination(request, identity, found, errors={"": _CHANGED})
    return redirect_with_notice(PATH, "destination-deleted")


async def _change(
    request: Request,
    identity: Identity,
    found: Destination,
    *,
    change: DestinationChange,
    form: Form,
    values: Mapping[str, str] | None = None,
) -> Response:
    services = get_services(request)
    try:
        async with services.units.begin(identity) as work:
            versions = frozenset({_parse_version(form)})
            await services.destinations.change(work, found.destination_id, change, versions=versions)
    except InvalidInput as error:
        errors = to_form_errors(error.faults)
    except OperationRefused as error:
        errors = {"name": error.detail}
    except LostUpdate:
        errors = {"": _CHANGED}
    else:
        return redirect_with_notice(f"{PATH}/{found.destination_id}", "destination-saved")
    return await _render_destination(request, identity, found, errors=errors, values=values)


async def _load(request: Request, identity: Identity) -> Destination:
    destination_id: UUID = request.path_params["destination_id"]
    return await get_services(request).destinations.get(identity, destination_id)


async def _render_form(
    request: Request,
    identity: Identity,
    kind: DestinationKind,
    *,
    errors: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
) -> Response:
    tenant = await get_services(request).tenants.get(identity)
    return render(
        request,
        "account/destination_new.html",
        status=422 if errors else 200,
        action=PATH,
        kind=kind,
        kinds=KIND_LABELS,
        external_id=str(tenant.external_id),
        errors=errors or {},
        values=values or {},
        **_list_fields(kind),
    )


async def _render_destination(
    request: Request,
    identity: Identity,
    destination: Destination,
    *,
    errors: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
) -> Response:
    tenant = await get_services(request).tenants.get(identity)
    return render(
        request,
        "account/destination.html",
        status=422 if errors else 200,
        destination=destination,
        path=f"{PATH}/{destination.destination_id}",
        action=f"{PATH}/{destination.destination_id}",
        kind=destination.kind,
        kind_label=KIND_LABELS[destination.kind],
        external_id=str(tenant.external_id),
        steps=STEP_LABELS,
        may_write=identity.may(*ADMINS),
        errors=errors or {},
        values=to_values(destination) if values is None else values,
        **_list_fields(destination.kind),
    )


def _list_fields(kind: DestinationKind) -> dict[str, Any]:
    return {
        "address_fields": ADDRESS_FIELDS[kind],
        "credential_fields": CREDENTIAL_FIELDS[kind],
        "encryptions": ENCRYPTION_OPTIONS,
    }


def _parse_kind(text: str) -> DestinationKind:
    for kind in KIND_LABELS:
        if kind == text:
            return kind
    raise Problem(ProblemType.INVALID, "There is no such kind of destination.")


def _parse_version(form: Form) -> int:
    text = form.get("version")
    return int(text) if text.isdecimal() and len(text) < 19 else 0
