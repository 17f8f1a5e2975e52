"""Forged tokens, as an attacker would create them."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.support.issuer import AUDIENCE, TestIssuer

Forge = Callable[[TestIssuer, datetime, dict[str, Any]], str]


def _encoded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def _claims(issuer: TestIssuer, now: datetime, claims: dict[str, Any]) -> dict[str, Any]:
    at = int(now.timestamp())
    return {"iss": issuer.url, "aud": AUDIENCE, "sub": "u-4711", "iat": at, "exp": at + 300} | claims


def with_claims(**changes: Any) -> Forge:
    """Return a token signed by the issuer with other claims; durations are relative to now, None omits a claim."""

    def forge(issuer: TestIssuer, now: datetime, claims: dict[str, Any]) -> str:
        resolved = {
            name: int((now + value).timestamp()) if isinstance(value, timedelta) else value
            for name, value in changes.items()
        }
        return issuer.token(now, **(claims | resolved))

    return forge


def leave_unsigned(issuer: TestIssuer, now: datetime, claims: dict[str, Any]) -> str:
    """Return a token whose algorithm is `none`."""
    header = {"alg": "none", "kid": issuer.kid, "typ": "JWT"}
    return f"{_encoded(header)}.{_encoded(_claims(issuer, now, claims))}."


def sign_with_public_key(issuer: TestIssuer, now: datetime, claims: dict[str, Any]) -> str:
    """Return a token signed with the public key as if it were a shared secret."""
    header = {"alg": "HS256", "kid": issuer.kid}
    text = f"{_encoded(header)}.{_encoded(_claims(issuer, now, claims))}"
    digest = hmac.new(issuer.public_pem(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def sign_with_another_key(issuer: TestIssuer, now: datetime, claims: dict[str, Any]) -> str:
    """Return a token that names the issuer's key but is signed with another."""
    header = {"alg": "RS256", "kid": issuer.kid}
    return jwt.encode(header, _claims(issuer, now, claims), RSAKey.generate_key(2048))


def embed_own_key(issuer: TestIssuer, now: datetime, claims: dict[str, Any]) -> str:
    """Return a token with its own key in the header."""
    key = RSAKey.generate_key(2048)
    header = {"alg": "RS256", "jwk": key.as_dict(private=False), "kid": "mine"}
    return jwt.encode(header, _claims(issuer, now, claims), key)


def change_after_signing(issuer: TestIssuer, now: datetime, claims: dict[str, Any]) -> str:
    """Return a valid token whose claims were changed after it was signed."""
    header, _, signature = issuer.token(now, **claims).split(".")
    return f"{header}.{_encoded(_claims(issuer, now, claims | {'sub': 'another-user'}))}.{signature}"


FORGED_TOKENS: dict[str, Forge] = {
    "wrong audience": with_claims(aud="another"),
    "several wrong audiences": with_claims(aud=["another", "third"]),
    "no audience": with_claims(aud=None),
    "wrong issuer": with_claims(iss="https://evil.test"),
    "no issuer": with_claims(iss=None),
    "expired": with_claims(exp=timedelta(seconds=-90)),
    "no expiry": with_claims(exp=None),
    "expiry that is not a number": with_claims(exp="tomorrow"),
    "not valid yet": with_claims(nbf=timedelta(seconds=90)),
    "issued in the future": with_claims(iat=timedelta(seconds=90)),
    "no subject": with_claims(sub=None),
    "subject that is not text": with_claims(sub=4711),
    "subject with NUL": with_claims(sub="a\x00b"),
    "unsigned": leave_unsigned,
    "signed with the public key": sign_with_public_key,
    "signed with another key": sign_with_another_key,
    "own key in the header": embed_own_key,
    "changed after signing": change_after_signing,
    "not a token": lambda issuer, now, claims: "a.b.c",
    "only two parts": lambda issuer, now, claims: issuer.token(now, **claims).rpartition(".")[0],
}
"""Tokens that every API must answer with 401."""
