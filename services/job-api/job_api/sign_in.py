"""Signing in through an identity provider: OpenID Connect's authorization code flow with PKCE, state and nonce."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from urllib.parse import urlencode

from shared.errors import SluiceError
from shared.http.untrusted import InvalidText, decode_base64_json
from shared.oidc import InvalidToken, Subject, TokenVerifier, to_subject
from shared.oidc_issuer import OidcIssuer

CALLBACK = "/login/oidc/callback"


class SignInFailed(SluiceError):
    """The response of the identity provider does not match the request, or denies access; carries the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcClient:
    """This service as registered with the identity provider."""

    client_id: str
    secret: str | None
    public_url: str
    scopes: str
    title: str

    @property
    def callback(self) -> str:
        """The address to which the identity provider redirects browsers."""
        return self.public_url.rstrip("/") + CALLBACK


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """What a browser must bring back from the identity provider; kept in a cookie of its own for some minutes."""

    state: str
    nonce: str
    verifier: str
    next: str

    def to_cookie(self) -> str:
        """Return the attempt as the value of a cookie."""
        return base64.urlsafe_b64encode(json.dumps(astuple(self)).encode()).decode()

    @classmethod
    def from_cookie(cls, value: str) -> "SignInAttempt | None":
        """Return the attempt in a cookie's value, or None if there is none."""
        try:
            found = decode_base64_json(value)
        except InvalidText:
            return None
        valid = isinstance(found, list) and len(found) == 4 and all(isinstance(each, str) and each for each in found)
        return cls(*found) if valid else None


class SignInFlow:
    """Sends browsers to the identity provider, and identifies the user who comes back."""

    def __init__(self, issuer: OidcIssuer, verifier: TokenVerifier, client: OidcClient) -> None:
        self._issuer = issuer
        self._verifier = verifier
        self.client = client

    async def begin(self, next_page: str) -> tuple[str, SignInAttempt]:
        """Return the address to redirect a browser to, and what it must bring back. Raises IssuerUnavailable."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        digest = hashlib.sha256(verifier.encode()).digest()
        address = await self._issuer.find_endpoint("authorization_endpoint")
        parameters = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.client.callback,
            "scope": self.client.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        attempt = SignInAttempt(state, nonce, verifier, next_page)
        return address + ("&" if "?" in address else "?") + urlencode(parameters), attempt

    async def finish(self, attempt: SignInAttempt | None, parameters: Mapping[str, str]) -> Subject:
        """Return the user who comes back with these query parameters.

        Raises SignInFailed, UnknownTenant or IssuerUnavailable.
        """
        access = self._issuer.access
        if attempt is None or not hmac.compare_digest(attempt.state.encode(), parameters.get("state", "").encode()):
            raise SignInFailed("This sign-in was not started in this browser, or too long ago: start again.")
        if parameters.get("iss", access.issuer) != access.issuer:
            raise SignInFailed("The response comes from another identity provider: start again.")
        if "code" not in parameters:
            raise SignInFailed("The identity provider denied access: ask its administrator.")
        form = {
            "grant_type": "authorization_code",
            "code": parameters["code"],
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
            raise SignInFailed("The identity provider's response is not valid: start again.") from error
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), attempt.nonce.encode()):
            raise SignInFailed("The identity provider's response belongs to another sign-in: start again.")
        return subject
