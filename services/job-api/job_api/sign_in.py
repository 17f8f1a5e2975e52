"""Login by an identity provider: OpenID Connect's authorization code flow with PKCE, state and nonce."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from urllib.parse import urlencode

from shared.errors import SluiceError
from shared.oidc import InvalidToken, Subject, TokenVerifier, to_subject
from shared.oidc_issuer import OidcIssuer

CALLBACK = "/login/oidc/callback"


class SignInFailed(SluiceError):
    """The way back from the identity provider does not fit the way there, or it says no; with the reason, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """This service as the identity provider knows it."""

    client_id: str
    secret: str | None
    public_url: str
    scopes: str
    title: str

    @property
    def callback(self) -> str:
        """Return where the identity provider sends browsers back to."""
        return self.public_url.rstrip("/") + CALLBACK


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one browser must bring back: kept in a cookie of its own, for a few minutes."""

    state: str
    nonce: str
    verifier: str
    next: str

    def to_cookie(self) -> str:
        """Return it as the value of a cookie."""
        return base64.urlsafe_b64encode(json.dumps(astuple(self)).encode()).decode()

    @classmethod
    def from_cookie(cls, value: str) -> "Attempt | None":
        """Read it; None for what is none."""
        try:
            found = json.loads(base64.urlsafe_b64decode(value))
        except (ValueError, binascii.Error):
            return None
        good = isinstance(found, list) and len(found) == 4 and all(isinstance(each, str) and each for each in found)
        return cls(*found) if good else None


class SignIn:
    """Leads browsers to the identity provider, and says who comes back."""

    def __init__(self, issuer: OidcIssuer, verifier: TokenVerifier, client: Client) -> None:
        self._issuer = issuer
        self._verifier = verifier
        self.client = client

    async def begin(self, next_page: str) -> tuple[str, Attempt]:
        """Return where to send a browser, and what it must bring back. Raises IssuerUnavailable."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        digest = hashlib.sha256(verifier.encode()).digest()
        address = await self._issuer.find_endpoint("authorization_endpoint")
        asked = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.client.callback,
            "scope": self.client.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        return address + ("&" if "?" in address else "?") + urlencode(asked), Attempt(state, nonce, verifier, next_page)

    async def finish(self, attempt: Attempt | None, brought: Mapping[str, str]) -> Subject:
        """Return who comes back. Raises SignInFailed, UnknownTenant or IssuerUnavailable."""
        access = self._issuer.access
        if attempt is None or not hmac.compare_digest(attempt.state.encode(), brought.get("state", "").encode()):
            raise SignInFailed("This sign-in was not begun in this browser, or too long ago: begin again.")
        if brought.get("iss", access.issuer) != access.issuer:
            raise SignInFailed("The answer comes from another identity provider: begin again.")
        if "code" not in brought:
            raise SignInFailed("The identity provider did not let you in: ask whoever runs it.")
        form = {
            "grant_type": "authorization_code",
            "code": brought["code"],
            "redirect_uri": self.client.callback,
            "client_id": self.client.client_id,
            "code_verifier": attempt.verifier,
        }
        login = (self.client.client_id, self.client.secret) if self.client.secret else None
        answer = await self._issuer.post(await self._issuer.find_endpoint("token_endpoint"), form, login)
        try:
            claims = await self._verifier.verify_claims(str(answer.get("id_token", "")), (self.client.client_id,))
            subject = to_subject(claims, access)
        except InvalidToken as error:
            raise SignInFailed("The identity provider's answer is not good: begin again.") from error
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), attempt.nonce.encode()):
            raise SignInFailed("The identity provider's answer is of another sign-in: begin again.")
        return subject
