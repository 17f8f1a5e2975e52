"""The lock of Kafka's jars: its format, and that a jar that differs from it is reported by name."""

import hashlib
from pathlib import Path

import pytest

from deploy.local.errors import LocalError
from deploy.local.jars import KAFKA_VERSION, LOCK, Jar, fetch_kafka_jars, find_maven_mirror, parse_lock, verify


def jar_of(content: bytes) -> Jar:
    return Jar(hashlib.sha256(content).hexdigest(), len(content), "org.example:thing:1.2")


def test_the_committed_lock_pins_kafka_and_its_dependencies() -> None:
    jars = parse_lock(LOCK.read_text())
    names = [jar.name for jar in jars]
    assert f"kafka_2.13-{KAFKA_VERSION}.jar" in names
    assert f"kafka-clients-{KAFKA_VERSION}.jar" in names
    assert len(set(names)) == len(names) > 40
    assert "://" not in LOCK.read_text()


def test_a_jar_has_the_path_of_every_maven_repository() -> None:
    assert jar_of(b"").path == "org/example/thing/1.2/thing-1.2.jar"
    assert jar_of(b"").name == "thing-1.2.jar"


@pytest.mark.parametrize("line", ["abc 1 a:b:c", "0" * 64 + " many a:b:c", "0" * 64 + " 1 a:b", "0" * 64 + " 1"])
def test_a_malformed_line_is_reported_with_its_number(line: str) -> None:
    with pytest.raises(LocalError, match=r"line 2 .* is malformed; git checkout"):
        parse_lock(f"# jars\n{line}\n")


def test_a_jar_with_the_checksum_of_the_lock_passes(tmp_path: Path) -> None:
    file = tmp_path / "thing-1.2.jar"
    file.write_bytes(b"right")
    verify(jar_of(b"right"), file)


def test_a_jar_with_other_content_is_reported_by_name(tmp_path: Path) -> None:
    file = tmp_path / "thing-1.2.jar"
    file.write_bytes(b"wrong")
    with pytest.raises(LocalError, match=r"thing-1.2.jar is not org.example:thing:1.2 as the lock has it .*; rm "):
        verify(jar_of(b"right"), file)


def test_a_jar_changed_in_the_cache_is_reported_before_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "sluice" / f"kafka-{KAFKA_VERSION}"
    folder.mkdir(parents=True)
    for jar in parse_lock(LOCK.read_text()):
        (folder / jar.name).write_bytes(b"not what was pinned")
    with pytest.raises(LocalError, match=r"lz4-java-.*\.jar is not at\.yawk\.lz4"):
        fetch_kafka_jars()


def test_a_mirror_in_mavens_settings_is_used(tmp_path: Path) -> None:
    settings = tmp_path / "settings.xml"
    mirrors = "<mirror><mirrorOf>{}</mirrorOf><url>mirror:{}</url></mirror>"
    body = mirrors.format("snapshots", 1) + mirrors.format("releases, central", 2)
    settings.write_text(f'<settings xmlns="urn:any"><mirrors>{body}</mirrors></settings>')
    assert find_maven_mirror(settings) == "mirror:2"
    settings.write_text("<settings/>")
    assert find_maven_mirror(settings) is None
    settings.write_text("<settings")
    assert find_maven_mirror(settings) is None
    assert find_maven_mirror(tmp_path / "absent.xml") is None
