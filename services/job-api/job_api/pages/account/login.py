"""Logging in and out."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.errors import LoginFailed
from job_api.pages.kit.forms import form_of
from job_api.pages.kit.rendering import local, render, visitor
from job_api.service import Access, Door, Login
from job_api.sessions import address_of, end_session, logged_in


async def login_form(request: Request) -> Response:
    """Show the door."""
    return render(request, "login.html", next=request.query_params.get("next", ""), user="", tenant="", wrong=False)


async def logging_in(door: Door, request: Request) -> Response:
    """Begin a session and go where the visitor wanted to."""
    form = await form_of(request)
    typed = Login(
        user=form.get("user", "")[:200],
        password=form.get("password", "")[:1000],
        tenant=form.get("tenant", "")[:200] or None,
        remember=form.get("remember") == "yes",
        address=address_of(request),
    )
    answer = RedirectResponse(local(form.get("next", "")), 303)
    try:
        await logged_in(door, typed, request, answer)
    except LoginFailed:
        shown = {"next": form.get("next", ""), "user": typed.user, "tenant": typed.tenant or ""}
        return render(request, "login.html", status=401, wrong=True, **shown)
    return answer


async def logging_out(access: Access, request: Request) -> Response:
    """End the session."""
    await access.log_out(await visitor(access, request))
    answer = RedirectResponse("/login", 303)
    end_session(answer)
    return answer
