"""Preferences: certificates, one's own password, and for administrators API keys (C1, C2, U4)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from job_api.errors import Fault, Invalid, Refused
from job_api.pages.account.lists import ROLE_WORDS, certificates_shown, keys_shown
from job_api.pages.jobs.notices import warnings_of
from job_api.pages.kit.forms import Form, form_of
from job_api.pages.kit.notices import done
from job_api.pages.kit.rendering import ANYBODY, render, visitor
from job_api.roles import ADMINS, READERS, WRITERS
from job_api.service import Access, Certificates, Users
from job_api.service.issuing import Issued
from job_api.store import Once
from shared.auth import Identity
from shared.clock import Clock
from shared.events.values import Role

DAYS_MOST = 3650


@dataclass(frozen=True)
class Preferences:
    """What the pages of preferences need."""

    access: Access
    certificates: Certificates
    users: Users
    clock: Clock

    async def show(self, request: Request) -> Response:
        """Show everything that one may prefer."""
        return await self._page(request, await visitor(self.access, request, *ANYBODY))

    async def upload(self, request: Request) -> Response:
        """Keep a certificate that was uploaded or pasted; what is refused is not shown again either."""
        who = await visitor(self.access, request, *WRITERS)
        form = await form_of(request)
        content = form.raw("file") or form.get("pem").encode()
        sent = _once("upload-certificate", await request.body())
        try:
            await self.certificates.upload(
                who, form.get("name"), content, sent, lambda kept: {"id": str(kept.certificate_id)}
            )
        except Invalid as error:
            faults = {{"name": "certificate-name"}.get(each.field, each.field): each for each in error.faults}
            return await self._page(request, who, faults=faults, typed={"certificate-name": form.get("name")})
        except Refused as error:
            fault = {"certificate-name": Fault("name", error.detail)}
            return await self._page(request, who, faults=fault, typed={"certificate-name": form.get("name")})
        return done("/preferences#certificates", "certificate-kept")

    async def asking_to_retire(self, request: Request) -> Response:
        """Ask once more before a certificate is retired."""
        who = await visitor(self.access, request, *WRITERS)
        found = await self.certificates.get(who, request.path_params["certificate_id"])
        words = "Exports to come are not encrypted for it any more. Files that were made for it stay readable."
        return _confirm(request, f"Retire “{found.name}”?", words, "Retire it")

    async def retire(self, request: Request) -> Response:
        """Retire a certificate."""
        who = await visitor(self.access, request, *WRITERS)
        await self.certificates.retire(who, request.path_params["certificate_id"])
        return done("/preferences#certificates", "certificate-retired")

    async def change_password(self, request: Request) -> Response:
        """Change one's own password."""
        who = await visitor(self.access, request, *ANYBODY)
        form = await form_of(request)
        if form.get("password") != form.get("repeat"):
            fault = {"repeat": Fault("repeat", "is not the same as the new password")}
            return await self._page(request, who, faults=fault)
        try:
            await self.users.change_own_password(who, form.get("current"), form.get("password"))
        except Invalid as error:
            return await self._page(request, who, faults={each.field: each for each in error.faults})
        return done("/preferences", "password-changed")

    async def make_key(self, request: Request) -> Response:
        """Make an API key and show its token, this once."""
        who = await visitor(self.access, request, *ADMINS)
        form = await form_of(request)
        roles: tuple[Role, ...] = tuple(role for role in ROLE_WORDS if role in form.all("role"))
        typed, sent = {"key-name": form.get("name"), "days": form.get("days")}, await request.body()
        try:
            lasting = _lasting(form)
            made = await self.access.make_key(who, form.get("name"), roles, lasting, _once("create-key", sent), _made)
        except Invalid as error:
            faults = {{"name": "key-name"}.get(each.field, each.field): each for each in error.faults}
            return await self._page(request, who, faults=faults, typed=typed)
        return render(request, "key.html", name=form.get("name"), token=made["token"])

    async def asking_to_revoke(self, request: Request) -> Response:
        """Ask once more before a key is revoked."""
        await visitor(self.access, request, *ADMINS)
        words = "Whoever uses it is shut out at once, and for good."
        return _confirm(request, "Revoke this API key?", words, "Revoke it")

    async def revoke(self, request: Request) -> Response:
        """Revoke a key."""
        who = await visitor(self.access, request, *ADMINS)
        await self.access.revoke_key(who, request.path_params["key_id"])
        return done("/preferences#keys", "key-revoked")

    async def _page(
        self,
        request: Request,
        who: Identity,
        *,
        faults: Mapping[str, Fault] | None = None,
        typed: Mapping[str, str] | None = None,
    ) -> Response:
        now, sees, manages = self.clock.now(), who.may(*READERS), who.may(*ADMINS)
        return render(
            request,
            "preferences.html",
            status=422 if faults else 200,
            certificates=await certificates_shown(self.certificates, who, request, now) if sees else None,
            keys=await keys_shown(self.access, who, request, now) if manages else None,
            warnings=warnings_of(await self.certificates.active(who), now) if sees else (),
            faults={name: _sentence(fault) for name, fault in (faults or {}).items()},
            typed={"certificate-name": "", "key-name": "", "days": "365"} | dict(typed or {}),
            roles=ROLE_WORDS,
            may_write=who.may(*WRITERS),
            may_manage=manages,
        )


def _confirm(request: Request, question: str, consequence: str, words: str) -> Response:
    return render(
        request,
        "confirm.html",
        here_is="preferences",
        question=question,
        consequence=consequence,
        words=words,
        action=request.url.path,
        back="/preferences",
        fields=(),
    )


def _lasting(form: Form) -> timedelta | None:
    text = form.get("days").strip()
    if not text:
        return None
    if not (text.isdigit() and 1 <= int(text[:9]) <= DAYS_MOST):
        raise Invalid(Fault("days", f"from 1 to {DAYS_MOST}, or nothing for a key that stays good until it is revoked"))
    return timedelta(days=int(text))


def _sentence(fault: Fault) -> str:
    subjects = {"pem": "The certificate ", "current": "This ", "repeat": "This "}
    subject = subjects.get(fault.field, "")
    return subject + fault.message if subject else fault.message[:1].upper() + fault.message[1:]


def _once(operation: str, body: bytes) -> Once:
    # The form's token is in the body and differs from page to page: only the very same form sent twice is one request.
    sent = hashlib.sha256(body).hexdigest()
    return Once(operation, f"page-{sent}", sent)


def _made(issued: Issued, token: str | None) -> dict[str, Any]:
    return {"id": str(issued.credential.identity_id), "token": token}
