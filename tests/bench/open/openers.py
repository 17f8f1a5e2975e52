"""The programs and libraries that are tried: each reads one file and returns what is in it."""

import re
import shutil
import subprocess
import sys
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

from cryptography.hazmat.primitives.serialization import pkcs7

from shared.events.values import Cipher
from sluice.cms import decrypt_chunks
from sluice.recipients import load_recipient_key
from tests.unit.stream.officers import Officer

LIMIT = 120
"""Seconds that a program may take, which is far more than any needs."""


Command = list[str | Path]


class NotOpened(Exception):
    """A program refused a file; the message is what it said."""


@dataclass(frozen=True, slots=True)
class EncryptedFile:
    """An encrypted file and an officer with key and certificate, in a folder of their own."""

    path: Path
    cipher: Cipher
    officer: Officer

    def write_key(self) -> tuple[Path, Path]:
        """Return the paths of the officer's key and certificate."""
        return self.officer.write_to(self.path.parent / "officer")


class Opener(ABC):
    """One way to decrypt; `name` and `version` stand in the table."""

    name: str
    version: str

    @abstractmethod
    def open(self, file: EncryptedFile) -> bytes:
        """Return the content of a file. Raises NotOpened."""


def run(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    given: bytes = b"",
    is_strict: bool = True,
) -> bytes:
    """Return what a program writes to its standard output. Raises NotOpened, for a failure without output otherwise."""
    try:
        done = subprocess.run(command, input=given, capture_output=True, env=environment, timeout=LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotOpened(str(error)) from error
    if done.returncode != 0 and (is_strict or not done.stdout):
        raise NotOpened(done.stderr.decode(errors="replace").strip())
    return done.stdout


def find_version(command: Sequence[str | Path]) -> str:
    """Return the first number with a point in what a program prints about itself."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    found = re.search(r"\d+\.\d+[\w.]*", done.stdout + done.stderr)
    return found[0] if found else "?"


class Sluice(Opener):
    """Our own command's reader, which is given the key alone."""

    def __init__(self) -> None:
        self.name, self.version = "sluice decrypt", version("sluice")

    def open(self, file: EncryptedFile) -> bytes:
        """Return the content of a file. Raises NotOpened."""
        with file.path.open("rb") as source:
            return b"".join(decrypt_chunks(source, load_recipient_key(file.officer.key_pem())))


class Cryptography(Opener):
    """The function of the Python library, which reads DER only."""

    def __init__(self) -> None:
        self.name, self.version = "Python cryptography (pkcs7_decrypt_der)", version("cryptography")

    def open(self, file: EncryptedFile) -> bytes:
        """Return the content of a file. Raises NotOpened."""
        try:
            data, key = file.path.read_bytes(), file.officer.key
            return pkcs7.pkcs7_decrypt_der(data, file.officer.certificate, key, [])  # type: ignore[arg-type] # RSA only
        except Exception as error:  # the library raises many kinds
            raise NotOpened(str(error)) from error


@dataclass
class OpenSsl(Opener):
    """`openssl cms` or `openssl smime`, with -recip."""

    command: str
    program: str = "openssl"
    name: str = field(init=False)
    version: str = field(init=False)

    def __post_init__(self) -> None:
        self.name, self.version = f"openssl {self.command}", find_version([self.program, "version"])

    def open(self, file: EncryptedFile) -> bytes:
        """Return the content of a file. Raises NotOpened."""
        key, certificate = file.write_key()
        call: Command = [self.program, self.command, "-decrypt", "-binary", "-inform", "DER", "-in", file.path]
        return run([*call, "-inkey", key, "-recip", certificate])


class Gpgsm(Opener):
    """GnuPG's S/MIME program, in a home folder that holds the one key."""

    def __init__(self) -> None:
        self.name, self.version = "gpgsm", find_version(["gpgsm", "--version"])

    def open(self, file: EncryptedFile) -> bytes:
        """Return the content of a file. Raises NotOpened."""
        key, certificate = file.write_key()
        home, bundle = file.path.parent / "gnupg", file.path.parent / "officer.p12"
        home.mkdir(mode=0o700)
        (home / "gpg-agent.conf").write_text("allow-loopback-pinentry\n", encoding="utf-8")
        # gpgsm 2.2 reads no other bundle than one in this old encryption.
        old = ["-keypbe", "PBE-SHA1-3DES", "-certpbe", "NONE", "-macalg", "sha1"]
        call: Command = ["openssl", "pkcs12", "-export", *old, "-passout", "pass:x", "-out", bundle]
        run([*call, "-inkey", key, "-in", certificate])
        gpgsm: Command = ["gpgsm", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0"]
        try:
            run([*gpgsm, "--import", bundle], given=b"x\n")
            # It exits with 2 after it has opened a file that has recipients whom it does not know, too.
            return run([*gpgsm, "--decrypt", file.path], given=b"x\n", is_strict=False)
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True, check=False)


def find_installed() -> list[Opener]:
    """Return what needs no download and is quick: our own, the library, and openssl where it is installed."""
    found: list[Opener] = [Sluice()]
    if shutil.which("openssl"):
        found += [OpenSsl("cms"), OpenSsl("smime")]
    return [*found, Cryptography()]


def find_slow() -> list[Opener]:
    """Return gpgsm, where it is installed: it takes seconds to import a key."""
    return [Gpgsm()] if shutil.which("gpgsm") and shutil.which("openssl") else []


@dataclass
class Unpacker:
    """One way to unpack: a command that writes the members' contents to standard output, given the archive's path."""

    name: str
    version: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] | None = None

    def unpack(self, archive: Path) -> bytes:
        """Return the contents of all members. Raises NotOpened."""
        return run([*self.command, archive], environment=self.environment)


class PythonZip(Unpacker):
    """Python's zipfile."""

    def __init__(self) -> None:
        super().__init__("Python zipfile", sys.version.split()[0], [])

    def unpack(self, archive: Path) -> bytes:
        """Return the contents of all members."""
        with zipfile.ZipFile(BytesIO(archive.read_bytes())) as opened:
            return b"".join(opened.read(name) for name in opened.namelist())


UNPACKERS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "unzip": (["unzip", "-p"], ["unzip", "-v"]),
    "7z": (["7z", "e", "-so", "-bd"], ["7z"]),
    "bsdtar": (["bsdtar", "-xOf"], ["bsdtar", "--version"]),
}
"""For each program, how it unpacks to standard output, and how it prints its version."""


def find_unpackers() -> list[Unpacker]:
    """Return Python's zipfile and the installed programs."""
    installed = {name: each for name, each in UNPACKERS.items() if shutil.which(name)}
    found = [Unpacker(name, find_version(about), command) for name, (command, about) in installed.items()]
    return [PythonZip(), *found]
