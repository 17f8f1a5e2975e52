"""Uploading and retiring certificates (C1, C2)."""

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from job_api.commands import run_once
from job_api.errors import FieldFault, InvalidInput, NotFound, OperationRefused
from job_api.pages.account.preferences import render_preferences
from job_api.pages.kit.forms import identify_submission, parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.notices import redirect_with_notice
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.roles import OPERATORS
from job_api.store import UnitOfWork
from shared.http.idempotency import RenderedResponse
from shared.private_keys import contains_private_key


async def upload_certificate(request: Request) -> Response:
    """Store an uploaded or pasted certificate; a rejected one is not shown again, as it may be a private key."""
    identity = await require_identity(request, *OPERATORS)
    services, form, submission = get_services(request), await parse_form(request), await identify_submission(request)
    name, content = form.get("name"), form.get_bytes("file") or form.get("pem").encode()

    async def upload(work: UnitOfWork) -> RenderedResponse:
        return RenderedResponse({"id": str((await services.certificates.upload(work, name, content)).certificate_id)})

    try:
        await run_once(services.units, identity, submission, command=upload)
    except InvalidInput as error:
        errors = {"certificate-name" if each.field == "name" else each.field: each for each in error.faults}
    except OperationRefused as error:
        errors = {"certificate-name": FieldFault("name", error.detail)}
    else:
        back = to_local_path(form.get("next"), default="/preferences#certificates")
        return redirect_with_notice(back, "certificate-uploaded", certificate=name.strip())
    shown = "" if contains_private_key(name.encode("utf-8", "replace")) else name
    return await render_preferences(
        request, identity, errors=errors, values={"certificate-name": shown, "next": form.get("next")}
    )


async def confirm_retirement(request: Request) -> Response:
    """Ask for confirmation before a certificate is retired: say what would fail, and offer a successor (C2)."""
    identity = await require_identity(request, *OPERATORS)
    services = get_services(request)
    found = await services.certificates.get(identity, request.path_params["certificate_id"])
    active = await services.certificates.list_active(identity)
    return render(
        request,
        "account/retire.html",
        certificate=found,
        use=await services.certificates.get_use(identity, found.certificate_id),
        dependent=await services.certificates.find_dependent_jobs(identity, found.certificate_id),
        successors=[each for each in active if each.certificate_id != found.certificate_id],
    )


async def retire_certificate(request: Request) -> Response:
    """Retire a certificate, and let its successor take its place in the jobs that name it, if one is selected."""
    identity = await require_identity(request, *OPERATORS)
    services = get_services(request)
    certificate_id, successor = request.path_params["certificate_id"], (await parse_form(request)).get("successor")
    async with services.units.begin(identity) as work:
        if successor:
            await services.jobs.replace_certificate(work, certificate_id, _parse_id(successor))
        retired = await services.certificates.retire(work, certificate_id)
    return redirect_with_notice("/preferences#certificates", "certificate-retired", certificate=retired.name)


def _parse_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("certificate") from None
