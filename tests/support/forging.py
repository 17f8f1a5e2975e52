"""Tokens that an issuer never gave, as somebody would make them who wants to get in."""

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


def saying(**changes: Any) -> Forge:
    """Return a token of the issuer's own that says something else; instants are seconds from now, None leaves out."""

    def forge(issuer: TestIssuer, now: datetime, claims: dict[str, Any]) -> str:
        told = {
            name: int((now + value).timestamp()) if isinstance(value, timedelta) else value
            for name, value in changes.items()
        }
        return issuer.token(now, **(claims | told))

    return forge


def unsigned(issuer: TestIssuer, now: datetime, claims: dict[str, Any]) -> str:
    """Return a token that says it needs no signature."""
    header = {"alg": "none", "kid": issuer.kid, "typ": "JWT"}
    return f"{_encoded(header)}.{_encoded(_claims(issuer, now, claims))}."


def by_public_key(issuer: TestIssuer, now: datetime, claims: dict[str, Any]) -> str:
    """Return a token signed with the public key as if it were a shared secret."""
    header = {"alg": "HS256", "kid": issuer.kid}
    text = f"{_encoded(header)}.{_encoded(_claims(issuer, now, claims))}"
    made = hmac.new(issuer.public_pem(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"


def by_another_key(issuer: TestIssuer, now: datetime, claims: dict[str, Any]) -> str:
    """Return a token that names the issuer's key but is signed with another."""
    header = {"alg": "RS256", "kid": issuer.kid}
    return jwt.encode(header, _claims(issuer, now, claims), RSAKey.generate_key(2048))


def with_its_own_key(issuer: TestIssuer, now: datetime, claims: dict[str, Any]) -> str:
    """Return a token that brings the key to check it with."""
    key = RSAKey.generate_key(2048)
    header = {"alg": "RS256", "jwk": key.as_dict(private=False), "kid": "mine"}
    return jwt.encode(header, _claims(issuer, now, claims), key)


def changed_afterwards(issuer: TestIssuer, now: datetime, claims: dict[str, Any]) -> str:
    """Return a good token whose claims were changed after it was signed."""
    header, _, signature = issuer.token(now, **claims).split(".")
    return f"{header}.{_encoded(_claims(issuer, now, claims | {'sub': 'somebody-else'}))}.{signature}"


REFUSED: dict[str, Forge] = {
    "wrong audience": saying(aud="another"),
    "several wrong audiences": saying(aud=["another", "third"]),
    "no audience": saying(aud=None),
    "wrong issuer": saying(iss="https://evil.test"),
    "no issuer": saying(iss=None),
    "expired": saying(exp=timedelta(seconds=-90)),
    "no end": saying(exp=None),
    "an end that is no number": saying(exp="tomorrow"),
    "not yet": saying(nbf=timedelta(seconds=90)),
    "issued in the future": saying(iat=timedelta(seconds=90)),
    "nobody": saying(sub=None),
    "a subject that is no word": saying(sub=4711),
    "a subject that cannot be a name": saying(sub="a\x00b"),
    "unsigned": unsigned,
    "signed with the public key": by_public_key,
    "signed with another key": by_another_key,
    "brings its own key": with_its_own_key,
    "changed afterwards": changed_afterwards,
    "no token at all": lambda issuer, now, claims: "a.b.c",
    "two parts": lambda issuer, now, claims: issuer.token(now, **claims).rpartition(".")[0],
}
"""What must get 401 at every door."""
