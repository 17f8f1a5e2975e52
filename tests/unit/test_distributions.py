"""Every distribution declares exactly what it imports, so that each can be installed and shipped alone."""

import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.unit.sources import ROOT, sources

# The folder of each distribution, and that of its package.
DISTRIBUTIONS = {
    "shared": "shared",
    "services/job-api": "services/job-api/job_api",
    "services/scheduler": "services/scheduler/scheduler",
    "services/exporter": "services/exporter/exporter",
    "services/history": "services/history/history",
    "client": "client/sluice",
}
# Declared though never imported here, each with its reason.
RUNTIME_ONLY = {"shared": {"cramjam": "aiokafka imports it to compress with lz4 and zstd"}}


def normalize(name: str) -> str:
    """Return a distribution's name as PEP 503 normalises it, without extras and versions."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name)[0]).lower()


@cache
def providers() -> dict[str, set[str]]:
    """Return the distributions that provide each top-level package."""
    found = {package: set(map(normalize, names)) for package, names in packages_distributions().items()}
    return found | {"shared": {"sluice-shared"}}


def imported_distributions(package: Path) -> set[str]:
    names = {name for source in sources(package.relative_to(ROOT).as_posix()) for name in source.roots}
    third_party = names - sys.stdlib_module_names - {package.name}
    return {provider for name in third_party for provider in providers()[name]}


def declared_dependencies(folder: str) -> set[str]:
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(map(normalize, project["dependencies"]))


@pytest.mark.parametrize("folder", DISTRIBUTIONS)
def test_a_distribution_declares_exactly_what_it_imports(folder: str) -> None:
    imported = imported_distributions(ROOT / DISTRIBUTIONS[folder])
    assert declared_dependencies(folder) == imported | set(RUNTIME_ONLY.get(folder, {}))


def test_every_declared_dependency_is_named_in_requirements_in() -> None:
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    named = {normalize(line) for line in lines if line and not line.startswith("#")}
    declared = {name for folder in DISTRIBUTIONS for name in declared_dependencies(folder)}
    assert declared - named == {"sluice-shared"}
