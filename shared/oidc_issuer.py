"""An OpenID Connect issuer as it tells of itself: its addresses, and its public keys, read again when they change."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from shared.clock import Clock
from shared.errors import TransientError
from shared.observe import get_logger
from shared.oidc_access import OidcAccess, is_safe_url

FRESH = timedelta(minutes=10)
"""How long keys are used before they are read again."""
KEPT = timedelta(hours=24)
"""How long keys are used while the issuer does not answer."""
PAUSE = timedelta(seconds=10)
"""At least so long lies between two questions, however many tokens name keys that nobody knows."""
_SECONDS = 5.0
_CONFIGURATION = "/.well-known/openid-configuration"
PublicKey = RSAKey | ECKey | OKPKey
log = get_logger(__name__)


class IssuerUnavailable(TransientError):
    """The issuer does not answer, or not as one does; nothing can be said of its tokens."""


class OidcIssuer:
    """What an issuer publishes. Keys are kept: while it is away, tokens that they signed stay good."""

    def __init__(self, access: OidcAccess, client: httpx.AsyncClient, clock: Clock) -> None:
        self.access = access
        self._client = client
        self._clock = clock
        self._keys: dict[str | None, PublicKey] = {}
        self._addresses: dict[str, str] = {}
        self._read_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._reading = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, access: OidcAccess, clock: Clock) -> AsyncIterator["OidcIssuer"]:
        """Give an issuer, which is not asked before it is needed."""
        trusted = ssl.create_default_context(cafile=access.ca_file) if access.ca_file else True
        async with httpx.AsyncClient(
            timeout=_SECONDS, follow_redirects=False, trust_env=False, verify=trusted
        ) as client:
            issuer = cls(access, client, clock)
            try:
                yield issuer
            finally:
                if issuer._renewal is not None:
                    issuer._renewal.cancel()

    async def find_key(self, name: str | None) -> PublicKey | None:
        """Return the key of a name (`kid`), or the only one for a token that names none. Raises IssuerUnavailable."""
        await self._ready()
        found = self._named(name)
        if found is None:
            await self._read()
            found = self._named(name)
        if found is None and self._read_at != self._asked_at:
            raise IssuerUnavailable("the issuer does not answer, and a token is signed with a key that is not known")
        return found

    async def find_endpoint(self, name: str) -> str:
        """Return one of the issuer's addresses, as `token_endpoint`. Raises IssuerUnavailable."""
        await self._ready()
        if name not in self._addresses:
            raise IssuerUnavailable(f"the issuer names no {name}")
        return self._addresses[name]

    async def post(self, address: str, form: Mapping[str, str], login: tuple[str, str] | None) -> dict[str, Any]:
        """Send a form to one of its addresses; return what it answers, be it a refusal. Raises IssuerUnavailable."""
        basic = httpx.BasicAuth(*login) if login is not None else None
        return _document(await self._sent(self._client.build_request("POST", address, data=dict(form)), basic))

    def _age(self) -> timedelta:
        return timedelta.max if self._read_at is None else self._clock.now() - self._read_at

    def _named(self, name: str | None) -> PublicKey | None:
        if name is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(name)

    async def _ready(self) -> None:
        """Have something to work with: what is old is read again beside, what is too old or not there, first."""
        if self._age() >= KEPT:
            await self._read()
            if self._age() >= KEPT:
                raise IssuerUnavailable("the issuer does not answer")
        elif self._age() >= FRESH and (self._renewal is None or self._renewal.done()):
            self._renewal = asyncio.create_task(self._read())

    async def _read(self) -> None:
        """Read addresses and keys anew, unless that was tried a moment ago."""
        async with self._reading:
            now = self._clock.now()
            if self._asked_at is None or now - self._asked_at >= PAUSE:
                self._asked_at = now
                try:
                    self._addresses, self._keys = await self._published()
                    self._read_at = now
                except IssuerUnavailable as error:
                    log.warning("issuer does not answer", error=str(error))

    async def _published(self) -> tuple[dict[str, str], dict[str | None, PublicKey]]:
        issuer = self.access.issuer
        found = await self._get(issuer.rstrip("/") + _CONFIGURATION)
        if found.get("issuer") != issuer:
            raise IssuerUnavailable("the issuer calls itself something else than SLUICE_OIDC_ISSUER says")
        addresses = {name: each for name, each in found.items() if isinstance(each, str) and is_safe_url(each)}
        if "jwks_uri" not in addresses:
            raise IssuerUnavailable("the issuer names no safe jwks_uri")
        return addresses, parse_keys(await self._get(addresses["jwks_uri"]))

    async def _get(self, address: str) -> dict[str, Any]:
        return _document(await self._sent(self._client.build_request("GET", address), None))

    async def _sent(self, request: httpx.Request, login: httpx.BasicAuth | None) -> httpx.Response:
        try:
            answer = await self._client.send(request, auth=login)
            if answer.status_code != HTTPStatus.BAD_REQUEST or request.method != "POST":
                answer.raise_for_status()
        except httpx.HTTPError as error:
            # Neither what was sent nor what came back: both may hold secrets.
            raise IssuerUnavailable(f"{type(error).__name__} from {request.url.host}") from None
        return answer


def parse_keys(published: Mapping[str, Any]) -> dict[str | None, PublicKey]:
    """Return the public keys for signatures in a key set, by name; what is no such key is passed over."""
    listed = published.get("keys")
    found: dict[str | None, PublicKey] = {}
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict) and each.get("use", "sig") == "sig":
            try:
                key = import_key(each)
            except (JoseError, ValueError, TypeError, KeyError):
                continue
            if isinstance(key, PublicKey):
                found[each.get("kid")] = key
    return found


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise IssuerUnavailable(f"{answer.url.host} gave no JSON object")
    return found
