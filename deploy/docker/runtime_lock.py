"""The part of requirements.lock that one service needs at work, hashes and all: the images are installed from it.

`python -m deploy.docker.runtime_lock job-api` prints it; the standard library is all it needs. What a service needs is
what its pyproject.toml and shared's name, and what the lock says was brought in by those (`# via`).
"""

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ("job-api", "scheduler", "exporter", "history")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def blocks(lock: str) -> dict[str, str]:
    """Return the lock's text by package."""
    starts = [match.start() for match in re.finditer(r"^[a-z0-9]", lock, re.MULTILINE)]
    texts = [lock[begin:end] for begin, end in zip(starts, [*starts[1:], len(lock)], strict=True)]
    return {_named(text): text for text in texts}


def brought_by(block: str) -> set[str]:
    """Return the packages on whose account the lock holds this one."""
    via = block.partition("# via")[2]
    return {_named(line) for line in via.replace("#", " ").split("\n") if line.strip() and " -r " not in f" {line} "}


def wanted(project: Path) -> set[str]:
    """Return what a part's pyproject.toml names, without our own parts."""
    named = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return {_named(each) for each in named} - {"sluice-shared"}


def runtime_lock(service: str) -> str:
    """Return the lock of one service. Raises KeyError when it wants something that requirements.lock lacks."""
    locked = blocks((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    needed = closure(wanted(ROOT / "shared") | wanted(ROOT / "services" / service), locked)
    return "".join(locked[name] for name in sorted(needed))


def closure(names: set[str], locked: Mapping[str, str]) -> set[str]:
    """Return the names, and all that came with them."""
    found = set(names)
    while more := {name for name, block in locked.items() if brought_by(block) & found} - found:
        found |= more
    return found


def _named(text: str) -> str:
    match = _NAME.match(text.strip())
    return match[0].lower().replace("_", "-").replace(".", "-") if match else ""


if __name__ == "__main__":
    sys.stdout.write(runtime_lock(sys.argv[1]))
