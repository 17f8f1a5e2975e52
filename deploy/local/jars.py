"""Kafka's jars: pinned by checksum in `kafka-jars.lock`, downloaded once, checked before every use.

`python -m deploy.local.jars` resolves the coordinates with jgo and rewrites the lock.
"""

import hashlib
import os
import ssl
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from deploy.local.errors import LocalError
from deploy.local.folders import cache_folder, create_folder

KAFKA_VERSION = "4.4.0"
ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:2.0.17"
LOCK = Path(__file__).with_name("kafka-jars.lock")
PROGRAM = "deploy.local.jars"
CHUNK = 1 << 20


@dataclass(frozen=True)
class Jar:
    """One line of the lock: the file's checksum, its size in bytes, and its Maven coordinates."""

    sha256: str
    size: int
    coordinates: str

    @property
    def path(self) -> str:
        """The file's path in any Maven repository."""
        group, artifact, version = self.coordinates.split(":")
        return f"{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}.jar"

    @property
    def name(self) -> str:
        """The bare file name."""
        return self.path.rsplit("/", 1)[1]


def parse_lock(text: str) -> list[Jar]:
    """Parse the lock: one line per jar (checksum, size, coordinates); lines beginning with # are comments.

    Raises LocalError with the number of a malformed line.
    """
    jars = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        fields = line.split()
        if len(fields) != 3 or len(fields[0]) != 64 or not fields[1].isdigit() or fields[2].count(":") != 2:
            raise LocalError(f"line {number} of {LOCK.name} is malformed", hint=f"git checkout {LOCK.name}")
        jars.append(Jar(fields[0], int(fields[1]), fields[2]))
    return jars


def fetch_kafka_jars() -> list[Path]:
    """Return Kafka's class path after downloading the jars that the cache lacks.

    Raises LocalError naming the jar whose checksum differs from the lock or which cannot be downloaded.
    """
    folder = create_folder(cache_folder() / f"kafka-{KAFKA_VERSION}")
    jars = parse_lock(LOCK.read_text())
    missing = [jar for jar in jars if not (folder / jar.name).exists()]
    if missing:
        _fetch(missing, folder)
    for jar in jars:
        verify(jar, folder / jar.name)
    return [folder / jar.name for jar in jars]


def verify(jar: Jar, file: Path) -> None:
    """Compare a jar with the lock; raises LocalError naming the file when the checksums differ."""
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != jar.sha256:
        raise LocalError(f"{file} is not {jar.coordinates} as the lock has it (sha256 {found})", hint=f"rm {file}")


def _fetch(missing: list[Jar], folder: Path) -> None:
    megabytes = sum(jar.size for jar in missing) / 1e6
    print(f"Downloading Apache Kafka {KAFKA_VERSION}: {len(missing)} jars, {megabytes:.0f} MB, to {folder}", flush=True)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(_fetch_one, jar, folder) for jar in missing]:
            done.result()


def _fetch_one(jar: Jar, folder: Path) -> None:
    handle, name = tempfile.mkstemp(dir=folder, prefix=".part-")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            out.writelines(_chunks(jar))
        verify(jar, part)
        part.replace(folder / jar.name)
    except OSError as error:
        raise LocalError(f"cannot write {folder / jar.name}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _chunks(jar: Jar) -> Iterable[bytes]:
    local = _local_repository() / jar.path
    if local.is_file():
        # Maven's own cache: a machine without a network may have the jar. Its checksum is verified all the same.
        yield local.read_bytes()
        return
    import certifi
    import httpx

    # The system's authorities as well as the packaged ones: a company's mirror is signed by the former.
    trust = ssl.create_default_context()
    trust.load_verify_locations(certifi.where())
    url = f"{find_repository()}/{jar.path}"
    try:
        with httpx.stream("GET", url, verify=trust, timeout=60, follow_redirects=True) as answer:
            answer.raise_for_status()
            yield from answer.iter_bytes(CHUNK)
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise LocalError(
            f"cannot download {jar.name}: {reason.splitlines()[0]}",
            hint="check the network, or name a mirror with: export SLUICE_MAVEN_REPOSITORY=...",
        ) from error


def find_repository() -> str:
    """Return the address of the Maven repository to download from.

    The first of: SLUICE_MAVEN_REPOSITORY, a mirror in Maven's settings, a repository in jgo's settings, Maven Central.
    """
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL

    configured = os.environ.get("SLUICE_MAVEN_REPOSITORY") or find_maven_mirror(Path.home() / ".m2" / "settings.xml")
    address = configured or next(iter(GlobalSettings.load().repositories.values()), MAVEN_CENTRAL_URL)
    return str(address).rstrip("/")


def find_maven_mirror(settings: Path) -> str | None:
    """Return the address of the mirror of Central in Maven's settings; None when they name none."""
    try:
        tree = ET.parse(settings)  # noqa: S314 - the user's own file
    except (OSError, ET.ParseError):
        return None
    for mirror in tree.iterfind(".//{*}mirror"):
        of = (mirror.findtext("{*}mirrorOf") or "").split(",")
        if {"central", "*", "external:*"} & {each.strip() for each in of}:
            return mirror.findtext("{*}url")
    return None


def _local_repository() -> Path:
    configured = os.environ.get("M2_REPO")
    return Path(configured) if configured else Path.home() / ".m2" / "repository"


def resolve_lock() -> str:
    """Resolve Kafka's coordinates with jgo and return the text of a new lock."""
    import jgo

    lines = []
    for artifact in jgo.resolve(ENDPOINT, repositories={"central": find_repository()}):
        file = Path(artifact.resolve())
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        lines.append(f"{digest} {file.stat().st_size} {artifact.groupId}:{artifact.artifactId}:{artifact.version}")
    head = f"# Apache Kafka {KAFKA_VERSION} and its dependencies: sha256, bytes, coordinates."
    head += f" Written by: python -m {PROGRAM}\n"
    return head + "\n".join(sorted(lines, key=lambda line: line.split()[2])) + "\n"


if __name__ == "__main__":
    LOCK.write_text(resolve_lock())
