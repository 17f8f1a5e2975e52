"""Certificates with changed bytes are refused in words, or what is encrypted for them opens (rules C1 and P3).

`make fuzz-certificates` tries 20,000 of them.
"""

import os
import random
from collections.abc import Iterator
from functools import cache
from io import BytesIO

from cryptography.hazmat.primitives import serialization

from exporter.package.cms import EnvelopeEncoder
from shared.certificates import CertificateRejected, RecipientCertificate, accept_certificate, find_note
from sluice.cms import decrypt_chunks
from tests.unit.stream.officers import NOW, make_officer, officer

MUTATIONS = int(os.environ.get("SLUICE_TEST_MUTATIONS", "600"))
CONTENT = b"one record\n"


@cache
def originals() -> tuple[bytes, ...]:
    made = officer(), make_officer("curve", curve="P-256")
    encodings = serialization.Encoding.DER, serialization.Encoding.PEM
    return tuple(each.certificate.public_bytes(encoding) for each in made for encoding in encodings)


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Return the content with one to three changes, most of them in the part before the key."""
    mutated = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(min(len(mutated), chance.choice((200, len(mutated)))))
        match chance.randrange(5):
            case 0:
                mutated[at] ^= 1 << chance.randrange(8)
            case 1:
                mutated[at] = chance.randrange(256)
            case 2:
                del mutated[at : at + chance.randint(1, 8)]
            case 3:
                mutated[at:at] = mutated[at : at + chance.randint(1, 8)]
            case _:
                mutated[at:at] = chance.randbytes(chance.randint(1, 4))
    return bytes(mutated)


def mutations() -> Iterator[bytes]:
    chance = random.Random(20261124)
    for _ in range(MUTATIONS):
        yield mutate(chance.choice(originals()), chance)


def opens(recipient: RecipientCertificate) -> bool:
    """Return whether the officer opens what is encrypted for a certificate with the officer's key."""
    for cipher in ("aes-256-cbc", "aes-256-gcm"):
        encoder = EnvelopeEncoder([recipient], cipher)
        envelope = encoder.start() + encoder.update(CONTENT) + encoder.finish()
        if recipient.public_key == officer().key.public_key():
            key = officer().recipient_key_without_certificate
            assert b"".join(decrypt_chunks(BytesIO(envelope), key)) == CONTENT
    return True


def is_in_words(error: CertificateRejected) -> bool:
    """Check the message of a refusal."""
    assert 5 < len(str(error)) < 600
    assert str(error).isprintable()
    return True


def test_C1_P3_a_mutated_certificate_is_refused_in_words_or_opens() -> None:
    accepted = refused = 0
    for content in mutations():
        try:
            recipient = accept_certificate(content, at=NOW)
        except CertificateRejected as error:
            refused += is_in_words(error)
        else:
            assert recipient.subject.isprintable()
            assert find_note(recipient.pem) == recipient.note
            assert opens(recipient)
            accepted += 1
    assert accepted + refused == MUTATIONS
    assert accepted > MUTATIONS // 100
    assert refused > MUTATIONS // 10
