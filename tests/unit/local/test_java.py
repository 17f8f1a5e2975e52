"""Reading a Java's version, and choosing its flags."""

from pathlib import Path

import pytest

from deploy.local.java import Java, parse_java_version, read_java_version


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6)', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "21.0.2-ea" 2024-01-16', 21),
        ('Picked up JAVA_TOOL_OPTIONS: -Dx\nopenjdk version "11.0.2" 2019-01-15', 11),
        ("The operation couldn’t be completed. Unable to locate a Java Runtime.", None),
        ("", None),
    ],
)
def test_the_version_is_read_from_the_output_of_java(printed: str, version: int | None) -> None:
    assert parse_java_version(printed) == version


def test_a_java_that_does_not_run_has_no_version(tmp_path: Path) -> None:
    assert read_java_version(tmp_path / "absent") is None
    broken = tmp_path / "java"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert read_java_version(broken) is None


def test_only_newer_versions_get_the_newer_flags() -> None:
    assert "--sun-misc-unsafe-memory-access=allow" in Java(Path("java"), 25).flags
    assert "--sun-misc-unsafe-memory-access=allow" not in Java(Path("java"), 17).flags
