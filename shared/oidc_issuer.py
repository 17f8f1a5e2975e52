"""An OpenID Connect issuer's published metadata: its endpoints and its public keys, cached and refreshed."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
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

REFRESH_AFTER = timedelta(minutes=10)
"""The age at which the metadata is refreshed in the background."""
EXPIRE_AFTER = timedelta(hours=24)
"""The age at which keys are no longer used, while the issuer is unavailable."""
MIN_INTERVAL = timedelta(seconds=10)
"""The time between two requests for metadata, however many tokens name unknown keys, after the first few."""
REFRESH_BURST = 5
"""How many requests for metadata may follow each other at once: an issuer may rotate its keys twice in a row."""
_TIMEOUT_SECONDS = 5.0
_MAX_KEYS = 100
_CONFIGURATION = "/.well-known/openid-configuration"
PublicKey = RSAKey | ECKey | OKPKey
KeySet = Sequence[tuple[str | None, PublicKey]]
"""Public keys with their ids (`kid`), or None where the issuer publishes a key without one."""
log = get_logger(__name__)


class IssuerUnavailable(TransientError):
    """The issuer is unavailable or its answer is malformed, so its tokens cannot be verified."""


class OidcIssuer:
    """A client of one issuer. Its keys are cached, so that tokens stay valid while the issuer is unavailable."""

    def __init__(self, access: OidcAccess, client: httpx.AsyncClient, clock: Clock) -> None:
        self.access = access
        self._client = client
        self._clock = clock
        self._keys: KeySet = ()
        self._endpoints: dict[str, str] = {}
        self._refreshed_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._burst = float(REFRESH_BURST)
        self._refresh_lock = asyncio.Lock()
        self._refresh_task: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, access: OidcAccess, clock: Clock) -> AsyncIterator["OidcIssuer"]:
        """Open a client, which sends no request before the first token or login.

        It goes through the proxy that HTTPS_PROXY or HTTP_PROXY names, except to the hosts of NO_PROXY.
        """
        verify = ssl.create_default_context(cafile=access.ca_file) if access.ca_file else True
        async with httpx.AsyncClient(
            timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=True, verify=verify
        ) as client:
            issuer = cls(access, client, clock)
            try:
                yield issuer
            finally:
                if issuer._refresh_task is not None:
                    issuer._refresh_task.cancel()

    async def find_keys(self, key_id: str | None) -> list[PublicKey]:
        """Return the keys that may have signed a token that names this key (`kid`), or none; empty if unknown.

        A key that the issuer publishes without an id may have signed any token. Raises IssuerUnavailable.
        """
        await self._ensure_metadata()
        found = self._cached_keys(key_id)
        if not found:
            found = await self.find_newer_keys(key_id, found)
        if not found and self._refreshed_at != self._tried_at:
            raise IssuerUnavailable("the issuer is unavailable, and a token is signed with an unknown key")
        return found

    async def find_newer_keys(self, key_id: str | None, known: Collection[PublicKey]) -> list[PublicKey]:
        """Read the keys again, unless that was done a moment ago; return those that are not among the known ones.

        Known keys without an id are replaced without a sign of it, so that a signature just does not fit.
        """
        thumbprints = {key.thumbprint() for key in known}
        await self._refresh()
        return [key for key in self._cached_keys(key_id) if key.thumbprint() not in thumbprints]

    def has_key(self, key_id: str | None) -> bool:
        """Return whether the issuer has published a key with this very id."""
        return key_id is not None and any(kid == key_id for kid, _ in self._keys)

    async def find_endpoint(self, name: str) -> str:
        """Return the URL of an endpoint by its metadata name, as `token_endpoint`. Raises IssuerUnavailable."""
        await self._ensure_metadata()
        if name not in self._endpoints:
            raise IssuerUnavailable(f"the issuer's metadata has no {name}")
        return self._endpoints[name]

    async def post(self, url: str, form: Mapping[str, str], login: tuple[str, str] | None) -> dict[str, Any]:
        """Post a form to an endpoint; return its answer, also that of an error 400. Raises IssuerUnavailable."""
        basic = httpx.BasicAuth(*login) if login is not None else None
        return _parse_object(await self._send(self._client.build_request("POST", url, data=dict(form)), basic))

    def _age(self) -> timedelta:
        return timedelta.max if self._refreshed_at is None else self._clock.now() - self._refreshed_at

    def _cached_keys(self, key_id: str | None) -> list[PublicKey]:
        if self.has_key(key_id):
            return [key for kid, key in self._keys if kid == key_id]
        return [key for kid, key in self._keys if kid is None or key_id is None]

    async def _ensure_metadata(self) -> None:
        """Make sure that metadata is cached: refresh it in the background when old, first when missing or too old."""
        if self._age() >= EXPIRE_AFTER:
            await self._refresh()
            if self._age() >= EXPIRE_AFTER:
                raise IssuerUnavailable("the issuer is unavailable")
        elif self._age() >= REFRESH_AFTER and (self._refresh_task is None or self._refresh_task.done()):
            self._refresh_task = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        """Fetch endpoints and keys, unless the last try failed within MIN_INTERVAL or there were too many."""
        async with self._refresh_lock:
            now = self._clock.now()
            if self._may_refresh(now):
                self._tried_at = now
                try:
                    self._endpoints, self._keys = await self._fetch_metadata()
                    self._refreshed_at = now
                except IssuerUnavailable as error:
                    log.warning("issuer unavailable", error=str(error))

    def _may_refresh(self, now: datetime) -> bool:
        """Take one of the requests that are allowed; a token bucket that gets another each MIN_INTERVAL."""
        if self._tried_at is not None:
            passed = now - self._tried_at
            if self._refreshed_at != self._tried_at:
                return passed >= MIN_INTERVAL
            self._burst = min(float(REFRESH_BURST), self._burst + passed / MIN_INTERVAL)
        if self._burst < 1:
            return False
        self._burst -= 1
        return True

    async def _fetch_metadata(self) -> tuple[dict[str, str], KeySet]:
        issuer = self.access.issuer
        metadata = await self._get(issuer.rstrip("/") + _CONFIGURATION)
        if metadata.get("issuer") != issuer:
            raise IssuerUnavailable("the issuer's metadata names another issuer than SLUICE_OIDC_ISSUER")
        endpoints = {name: each for name, each in metadata.items() if isinstance(each, str) and is_safe_url(each)}
        if "jwks_uri" not in endpoints:
            raise IssuerUnavailable("the issuer's metadata has no safe jwks_uri")
        keys = parse_keys(await self._get(endpoints["jwks_uri"]))
        if not keys:
            raise IssuerUnavailable("the issuer publishes no key that can be used; known keys stay valid")
        return endpoints, keys

    async def _get(self, url: str) -> dict[str, Any]:
        return _parse_object(await self._send(self._client.build_request("GET", url), None))

    async def _send(self, request: httpx.Request, login: httpx.BasicAuth | None) -> httpx.Response:
        try:
            answer = await self._client.send(request, auth=login)
            if answer.status_code != HTTPStatus.BAD_REQUEST or request.method != "POST":
                answer.raise_for_status()
        except httpx.HTTPError as error:
            # The message quotes neither the request nor the response: both may hold secrets.
            raise IssuerUnavailable(f"{type(error).__name__} from {request.url.host}") from None
        return answer


def parse_keys(key_set: Mapping[str, Any]) -> KeySet:
    """Return the public signature keys of a JSON Web Key Set, 100 at most; other and malformed keys are skipped."""
    listed = key_set.get("keys")
    found: list[tuple[str | None, PublicKey]] = []
    for each in listed[:_MAX_KEYS] if isinstance(listed, list) else []:
        if isinstance(each, dict) and each.get("use", "sig") == "sig":
            try:
                key = import_key(each)
            except (JoseError, ValueError, TypeError, KeyError):
                continue
            if isinstance(key, PublicKey):
                kid = each.get("kid")
                found.append((kid if isinstance(kid, str) else None, key))
    return found


def _parse_object(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise IssuerUnavailable(f"{answer.url.host} returned no JSON object")
    return found
