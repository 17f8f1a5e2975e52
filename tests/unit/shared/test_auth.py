"""Tokens (rule U4): shown once, stored as a hash, never logged."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared import auth

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ID = "0192f0c17b1e70008000000000000001"


def test_U4_a_token_is_verified_by_its_hash() -> None:
    token = auth.create_token(uuid4())
    parsed = auth.parse_token(str(token))
    assert parsed == token
    assert auth.is_genuine(parsed, auth.hash_secret(token.secret))
    assert not auth.is_genuine(auth.create_token(token.identity_id), auth.hash_secret(token.secret))
    assert token.secret not in repr(token)


@pytest.mark.parametrize("text", ["", "slc", "slc__x", "slc_zz_x", f"abc_{ID}_x", f"slc_{ID}_"])
def test_U1_a_malformed_token_is_none(text: str) -> None:
    assert auth.parse_token(text) is None


def test_U4_revoked_and_expired_identities_are_not_live() -> None:
    assert auth.is_live(expires_at=None, revoked=False, now=NOW)
    assert not auth.is_live(expires_at=None, revoked=True, now=NOW)
    assert not auth.is_live(expires_at=NOW, revoked=False, now=NOW)
    assert auth.is_live(expires_at=NOW + timedelta(seconds=1), revoked=False, now=NOW)


def test_U2_an_admin_has_every_role() -> None:
    admin = auth.Identity(uuid4(), uuid4(), uuid4(), "a", frozenset({"admin"}))
    viewer = auth.Identity(uuid4(), uuid4(), uuid4(), "v", frozenset({"viewer"}))
    assert admin.may("operator")
    assert viewer.may("operator", "viewer")
    assert not viewer.may("operator")
