"""Mutated files: `sluice decrypt` ends in one sentence and exit status 1, or has written the very records (rule P2).

`make fuzz-decrypt` tries 20,000 of them.
"""

import os
import random
import zipfile
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest

from exporter.package.cms import EnvelopeEncoder
from shared.events.values import Cipher
from sluice.decrypt import decrypt_file
from sluice.errors import SluiceError, to_sentence
from tests.unit.client.test_client_cms import openssl_encrypt
from tests.unit.stream.officers import Officer, make_officer, officer

MUTATIONS = int(os.environ.get("SLUICE_TEST_MUTATIONS", "200"))
RECORDS = {"Contact.jsonl": b'{"id":"1"}\n' * 50, "Contact_0002.jsonl": b'{"id":"2"}\n'}


class Pipe(BytesIO):
    """An output in which nobody can go back, as a program writes an archive into a pipe."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise OSError("not seekable")


@cache
def curve_officer() -> Officer:
    return make_officer("curve", curve="P-256")


def make_zip(method: int = zipfile.ZIP_DEFLATED, target: BytesIO | None = None) -> bytes:
    written = target or BytesIO()
    with zipfile.ZipFile(written, "w", method) as packed:
        for name, content in RECORDS.items():
            packed.writestr(name, content)
    return written.getvalue()


@cache
def archives() -> tuple[bytes, ...]:
    """Return sound archives: with sizes first and last, deflated and not, and of a method that cannot be streamed."""
    methods = zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2
    return tuple(make_zip(method, target()) for method in methods for target in (BytesIO, Pipe))


def encrypt(content: bytes, cipher: Cipher = "aes-256-cbc") -> bytes:
    encoder = EnvelopeEncoder([curve_officer().recipient, officer("a").recipient], cipher)
    return encoder.start() + encoder.update(content) + encoder.finish()


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Return the content cut off, or with one to three changes, many of them near its start or its end."""
    if chance.randrange(5) == 0:
        return content[: chance.randrange(len(content))]
    mutated = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(min(len(mutated), chance.choice((60, 400, len(mutated)))))
        at = at if chance.randrange(3) else len(mutated) - 1 - at
        match chance.randrange(4):
            case 0:
                mutated[at] ^= 1 << chance.randrange(8)
            case 1:
                mutated[at] = chance.choice((0, 0x1F, 0x30, 0x80, 0xFF, chance.randrange(256)))
            case 2:
                del mutated[at : at + chance.randint(1, 8)]
            case _:
                mutated[at:at] = mutated[at : at + chance.randint(1, 8)] or b"\0"
        mutated = mutated or bytearray(b"\0")
    return bytes(mutated)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Sound files in every form that opens."""
    folder = tmp_path_factory.mktemp("files")
    made = [encrypt(archives()[0]), encrypt(archives()[1], "aes-256-gcm")]
    variants = ["-des3"], ["-aes256", "-stream"], ["-outform", "PEM"], ["-outform", "SMIME"]
    made += [openssl_encrypt(folder, archives()[1], options, [officer("a")]) for options in variants]
    return made


class Opener:
    """Decrypts files as `sluice decrypt` does, and checks how that ends."""

    def __init__(self, folder: Path) -> None:
        self._file, self._output = folder / "file.zip.p7m", folder / "out"
        self._output.mkdir()
        self._keys = [one.recipient_key_without_certificate for one in (officer("a"), curve_officer())]

    def opens(self, content: bytes, key: int = 0) -> bool:
        """Return whether a file opens, as the very records; if not, check that it fails as promised.

        The command turns these two kinds of error into a line and exit status 1; any other would be a traceback.
        """
        self._file.write_bytes(content)
        try:
            decrypt_file(self._file, self._keys[key], self._output)
        except (SluiceError, OSError) as error:
            sentence = to_sentence(error)
            assert sentence.isprintable()
            assert sentence.endswith(".")
            assert list(self._output.iterdir()) == []
            return False
        written = {path.name: path.read_bytes() for path in self._output.iterdir()}
        for name in written:
            (self._output / name).unlink()
        assert [written[name] for name in sorted(written)] == list(RECORDS.values())
        return True


@pytest.fixture
def opener(tmp_path: Path) -> Opener:
    return Opener(tmp_path)


def test_P2_every_sound_file_opens(files: list[bytes], opener: Opener) -> None:
    assert all(opener.opens(each) for each in files)
    assert all(opener.opens(encrypt(each, cipher)) for each in archives() for cipher in ("aes-256-cbc", "aes-256-gcm"))
    assert opener.opens(files[0], key=1)


def count_opened(make: Callable[[random.Random], bytes], opener: Opener) -> int:
    chance = random.Random(20261124)
    return sum(opener.opens(make(chance), key=chance.randrange(2)) for _ in range(MUTATIONS // 2))


def test_P2_a_mutated_file_opens_or_is_refused_in_a_sentence(files: list[bytes], opener: Opener) -> None:
    opened = count_opened(lambda chance: mutate(chance.choice(files), chance), opener)
    # Some mutations are harmless: in another recipient's entry, or after the end.
    assert 0 < opened < MUTATIONS // 4


def test_P2_a_mutated_archive_opens_or_is_refused_in_a_sentence(opener: Opener) -> None:
    opened = count_opened(lambda chance: encrypt(mutate(chance.choice(archives()), chance)), opener)
    assert opened < MUTATIONS // 4
