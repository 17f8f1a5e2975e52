"""The subset of requirements.lock that one service needs at run time, with hashes: images are installed from it.

`python -m deploy.docker.runtime_lock job-api` prints it; it needs only the standard library. A service needs what its
pyproject.toml and that of shared declare, and their dependencies according to the lock (`# via`).
"""

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ("job-api", "scheduler", "exporter", "history")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def split_lock(lock: str) -> dict[str, str]:
    """Return the text of a lock by package."""
    starts = [match.start() for match in re.finditer(r"^[a-z0-9]", lock, re.MULTILINE)]
    texts = [lock[begin:end] for begin, end in zip(starts, [*starts[1:], len(lock)], strict=True)]
    return {_parse_name(text): text for text in texts}


def find_dependents(block: str) -> set[str]:
    """Return the packages that depend on this one, according to its block of the lock."""
    via = block.partition("# via")[2]
    return {
        _parse_name(line) for line in via.replace("#", " ").split("\n") if line.strip() and " -r " not in f" {line} "
    }


def read_dependencies(project: Path) -> set[str]:
    """Return the dependencies that a pyproject.toml declares, without sluice-shared."""
    declared = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return {_parse_name(each) for each in declared} - {"sluice-shared"}


def runtime_lock(service: str) -> str:
    """Return the lock of one service. Raises KeyError for a dependency that requirements.lock lacks."""
    locked = split_lock((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    needed = close_over(read_dependencies(ROOT / "shared") | read_dependencies(ROOT / "services" / service), locked)
    return "".join(locked[name] for name in sorted(needed))


def close_over(names: set[str], locked: Mapping[str, str]) -> set[str]:
    """Return the packages and everything that they depend on, directly or not."""
    found = set(names)
    while more := {name for name, block in locked.items() if find_dependents(block) & found} - found:
        found |= more
    return found


def _parse_name(text: str) -> str:
    match = _NAME.match(text.strip())
    return match[0].lower().replace("_", "-").replace(".", "-") if match else ""


if __name__ == "__main__":
    sys.stdout.write(runtime_lock(sys.argv[1]))
