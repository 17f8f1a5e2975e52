"""Idempotency-Key (rule I3): a request that is sent again gets the response of the first one, and acts once.

    async with UnitOfWork.begin(database, actor, now) as work:
        store = IdempotencyStore(work.connection, identity)
        return await store.respond_once(request, work.at, lambda: create(work, draft))

Responses are kept in the table `idempotency` of the service's schema: tenant_id, user_id, key (together the primary
key), fingerprint, answer (jsonb), written_at.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from starlette.responses import JSONResponse

from shared.auth import Identity
from shared.http.identity import credential_of
from shared.http.problems import Problem, ProblemType
from shared.postgres import Connection

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="makes the request safe to repeat: with the same key, method, path and body it acts once and gets "
        "the same response; with another path or body it is refused",
        examples=["3f6b1f0e-5a0a-4d2a-a2ee-0c7c3c1d2b4f"],
    ),
]
# The key is taken first: a second request that arrives meanwhile waits here for the first to commit or roll back.
_RESERVE = """
INSERT INTO idempotency (tenant_id, user_id, key, fingerprint, written_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING key
"""
_RECALL = "SELECT fingerprint, answer FROM idempotency WHERE tenant_id = $1 AND user_id = $2 AND key = $3"
_FIND = "SELECT answer FROM idempotency WHERE tenant_id = $1 AND user_id = $2 AND key = $3"
_SAVE = "UPDATE idempotency SET answer = $4::jsonb WHERE tenant_id = $1 AND user_id = $2 AND key = $3"
_DROP = "DELETE FROM idempotency WHERE written_at < $1"


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request that may be repeated: its key, if it has one, and the hash of its method, path and body."""

    key: str | None
    fingerprint: str
    credential: str = field(repr=False)

    def protect_fingerprint(self) -> "IdempotentRequest":
        """Return the request with a fingerprint that only the bearer of the caller's token can compute.

        For a body with a secret that can be guessed, such as a password, which its plain hash would give away. To
        another token of the same user, the key then belongs to another request.
        """
        mac = hmac.digest(self.credential.encode(), self.fingerprint.encode(), hashlib.sha256)
        return replace(self, fingerprint=mac.hex())

    def derive_secret(self) -> str:
        """Return a secret of 256 bits for this request's response, URL-safe.

        With a key it is the same each time, and only the bearer of the caller's token can derive it: so the response
        can be repeated although only a hash of the secret is stored. Without a key it is random.
        """
        if self.key is None:
            return secrets.token_urlsafe(32)
        text = f"{self.fingerprint}\n{self.key}".encode()
        return (
            base64.urlsafe_b64encode(hmac.digest(self.credential.encode(), text, hashlib.sha256)).decode().rstrip("=")
        )


async def parse_idempotent_request(request: Request, key: IdempotencyKey = None) -> IdempotentRequest:
    """Return the key and fingerprint of a request that creates something."""
    scope = f"{request.method} {request.url.path}\n".encode()
    fingerprint = hashlib.sha256(scope + await request.body()).hexdigest()
    return IdempotentRequest(key, fingerprint, credential_of(request))


Idempotent = Annotated[IdempotentRequest, Depends(parse_idempotent_request)]


@dataclass(frozen=True, slots=True)
class RenderedResponse:
    """A response before it is sent. `secrets` are fields of its body that are never stored, null when it is repeated.

    Those that the request itself can derive again are given to `respond_once` as `derived`.
    """

    body: Mapping[str, Any]
    status: int = 201
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def to_response(self, derived: Mapping[str, Any]) -> JSONResponse:
        """Return the response with its secrets."""
        return JSONResponse({**self.body, **self.secrets, **derived}, self.status, dict(self.headers))

    def to_stored(self, derived: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is stored of the response: everything but its secrets."""
        body = {**self.body, **dict.fromkeys(self.secrets), **dict.fromkeys(derived)}
        return {"status": self.status, "headers": dict(self.headers), "body": body}


_NOTHING: Mapping[str, Any] = {}


class IdempotencyStore:
    """The responses to one caller's requests, by Idempotency-Key, within the caller's transaction."""

    def __init__(self, connection: Connection, identity: Identity) -> None:
        self._connection = connection
        self._caller = (identity.tenant_id, identity.user_id)

    async def respond_once(
        self,
        request: IdempotentRequest,
        at: datetime,
        respond: Callable[[], Awaitable[RenderedResponse]],
        *,
        derived: Mapping[str, Any] = _NOTHING,
    ) -> JSONResponse:
        """Return the stored response to the same request, else act, store the response and return it.

        `derived` are secret fields of the body that the request derives again each time; another token of the same
        user derives others, so to it the key belongs to another request.
        Raises Problem 409 when the key was used for another request, and whatever `respond` raises.
        """
        if (stored := await self.recall(request, at, derived=derived)) is None:
            stored = await respond()
            await self.save(request, stored, derived=derived)
        return stored.to_response(derived)

    async def recall(
        self, request: IdempotentRequest, at: datetime, *, derived: Mapping[str, Any] = _NOTHING
    ) -> RenderedResponse | None:
        """Return the stored response to the same request; None when there is none, with its key now reserved.

        Raises Problem 409 when the key was used for another request.
        """
        if request.key is None:
            return None
        place, fingerprint = (*self._caller, request.key), _fingerprint(request, derived)
        if await self._connection.fetchval(_RESERVE, *place, fingerprint, at) is not None:
            return None
        row = await self._connection.fetchrow(_RECALL, *place)
        if row is None or row["answer"] is None or row["fingerprint"] != fingerprint:
            detail = "This Idempotency-Key was used for another request: use a new one."
            raise Problem(ProblemType.IDEMPOTENCY_CONFLICT, detail)
        return RenderedResponse(**row["answer"])

    async def find_body(self, key: str) -> Mapping[str, Any] | None:
        """Return the body of the response that was stored under a key of the caller, if there is one."""
        answer = await self._connection.fetchval(_FIND, *self._caller, key)
        return answer["body"] if answer is not None else None

    async def save(
        self, request: IdempotentRequest, response: RenderedResponse, *, derived: Mapping[str, Any] = _NOTHING
    ) -> None:
        """Store the response to a request whose key is reserved; of no effect without a key."""
        if (statement := self.bind_save(request, response, derived=derived)) is not None:
            await self._connection.execute(*statement)

    def bind_save(
        self, request: IdempotentRequest, response: RenderedResponse, *, derived: Mapping[str, Any] = _NOTHING
    ) -> tuple[Any, ...] | None:
        """Return what `save` runs, for a caller that joins it with another statement; None without a key."""
        if request.key is None:
            return None
        return _SAVE, *self._caller, request.key, response.to_stored(derived)


async def drop_responses(connection: Connection, before: datetime) -> None:
    """Delete the responses that were stored before an instant; their keys can then be used anew."""
    await connection.execute(_DROP, before)


def _fingerprint(request: IdempotentRequest, derived: Mapping[str, Any]) -> str:
    if not derived:
        return request.fingerprint
    text = "\n".join([request.fingerprint, *(f"{name}={value}" for name, value in sorted(derived.items()))])
    return hashlib.sha256(text.encode()).hexdigest()
