"""Rule D2: credentials are sealed to a public key, for one destination, and opened with the private key alone."""

import base64
import dataclasses
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidSettings
from shared.events import SealedCredentials
from shared.sealing import CannotUnseal, CredentialsOwner, Sealer, Unsealer, generate_key_pair

PRIVATE, PUBLIC = generate_key_pair()
OWNER = CredentialsOwner(UUID(int=1), UUID(int=2))


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=4))
def test_D2_what_was_sealed_is_opened_unchanged(credentials: dict[str, str]) -> None:
    plain = {name: value.encode("utf-8", "replace").decode() for name, value in credentials.items()}
    assert Unsealer([PRIVATE]).open(Sealer(PUBLIC).seal(plain, OWNER), OWNER) == plain


def test_D2_sealed_credentials_show_nothing_and_differ_each_time() -> None:
    sealer = Sealer(PUBLIC)
    first, second = (sealer.seal({"password": "correct horse"}, OWNER) for _ in range(2))
    assert first.ciphertext != second.ciphertext
    assert b"horse" not in base64.b64decode(first.ciphertext)


@pytest.mark.parametrize(
    "owner", [CredentialsOwner(uuid4(), OWNER.destination_id), CredentialsOwner(OWNER.tenant_id, uuid4())]
)
def test_D2_sealed_credentials_cannot_be_moved_to_another_destination(owner: CredentialsOwner) -> None:
    with pytest.raises(CannotUnseal, match="belong to another destination"):
        Unsealer([PRIVATE]).open(Sealer(PUBLIC).seal({"password": "x"}, OWNER), owner)


def test_D2_a_rotated_key_opens_what_was_sealed_before() -> None:
    new_private, new_public = generate_key_pair()
    old = Sealer(PUBLIC).seal({"password": "x"}, OWNER)
    both = Unsealer([new_private, PRIVATE])
    assert both.open(old, OWNER) == {"password": "x"}
    assert both.key_ids == (Sealer(new_public).key_id, Sealer(PUBLIC).key_id)
    with pytest.raises(CannotUnseal, match="is not configured"):
        Unsealer([new_private]).open(old, OWNER)


@given(st.one_of(st.text(max_size=100), st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode())))
def test_D2_damaged_credentials_are_refused_without_quoting_them(ciphertext: str) -> None:
    sealed = SealedCredentials(key_id=Sealer(PUBLIC).key_id, ciphertext=ciphertext)
    with pytest.raises(CannotUnseal) as refused:
        Unsealer([PRIVATE]).open(sealed, OWNER)
    assert not ciphertext or len(ciphertext) < 8 or ciphertext not in str(refused.value)


def test_D2_one_changed_bit_is_noticed() -> None:
    sealed = Sealer(PUBLIC).seal({"password": "x"}, OWNER)
    raw = bytearray(base64.b64decode(sealed.ciphertext))
    raw[-1] ^= 1
    with pytest.raises(CannotUnseal):
        Unsealer([PRIVATE]).open(dataclasses.replace(sealed, ciphertext=base64.b64encode(raw).decode()), OWNER)


@pytest.mark.parametrize("key", ["", "x", "AAAA", base64.b64encode(bytes(32)).decode(), "é" * 40])
def test_D2_a_key_that_cannot_seal_is_refused_at_start(key: str) -> None:
    with pytest.raises(InvalidSettings, match="32 bytes in Base64"):
        Sealer(key)


def test_D2_oversized_credentials_are_refused() -> None:
    with pytest.raises(ValueError, match="64 KiB"):
        Sealer(PUBLIC).seal({"password": "x" * 70_000}, OWNER)
