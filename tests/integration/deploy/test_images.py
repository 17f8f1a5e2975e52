"""The images: their content, assembled here; and, where a Docker engine answers, built and started."""

import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.docker.runtime_lock import SERVICES, runtime_lock, split_lock
from deploy.local.processes import plain_environment
from tests.support.containers import is_docker_available

ROOT = Path(__file__).parents[3]
RESTRICTIONS = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges:true"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_runs_with_only_its_subset_of_the_lock(service: str, tmp_path: Path) -> None:
    """`-S` ignores all installed packages; those of the lock's subset come from a folder of their own."""
    package = service.replace("-", "_")
    site, code = tmp_path / "site", tmp_path / "code"
    for name in split_lock(runtime_lock(service)):
        link_distribution(name, site)
    code.mkdir()
    (code / "shared").symlink_to(ROOT / "shared")
    (code / package).symlink_to(ROOT / "services" / service / package)
    modules = [
        ".".join(path.relative_to(ROOT / "services" / service).with_suffix("").parts)
        for path in (ROOT / "services" / service / package).rglob("*.py")
        if path.stem not in {"__main__", "__init__"}
    ]
    modules += [f"shared.{path.stem}" for path in (ROOT / "shared").glob("*.py") if path.stem != "__init__"]
    script = f"import importlib\nfor name in {sorted(modules)!r}: importlib.import_module(name)\nprint('imported')"
    environment = plain_environment({"PYTHONPATH": f"{code}:{site}", "PYTHONDONTWRITEBYTECODE": "1"})
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], env=environment, cwd=code, capture_output=True, text=True, check=False
    )
    assert done.stdout == "imported\n", done.stderr
    printed = subprocess.run(
        [sys.executable, "-S", "-m", package, "--help"],
        env=environment,
        cwd=code,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "migrate" in printed.stdout


def link_distribution(name: str, site: Path) -> None:
    """Link the files of an installed package into a folder; packages for other systems are ignored."""
    try:
        files = importlib.metadata.files(name)
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files or []:
        top = file.parts[0]
        target = site / top
        if top in {"..", "__pycache__"}:
            continue
        if len(file.parts) > 1 and not target.exists():
            site.mkdir(exist_ok=True)
            target.symlink_to(Path(str(file.locate())).parents[len(file.parts) - 2])
        elif len(file.parts) == 1 and not target.exists():
            site.mkdir(exist_ok=True)
            target.symlink_to(Path(str(file.locate())))


def docker(*argv: str) -> str:
    program = shutil.which("docker")
    assert program is not None
    done = subprocess.run([program, *argv], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module", params=SERVICES)
def image(request: pytest.FixtureRequest) -> str:
    """Build the image of one service."""
    if not is_docker_available():
        pytest.skip("no Docker engine answers")
    service: str = request.param
    arguments = ["--build-arg", f"SERVICE={service}", "--build-arg", f"PACKAGE={service.replace('-', '_')}"]
    arguments += ["--platform", "linux/amd64", "-f", "deploy/docker/Dockerfile", "-t", f"sluice-test/{service}"]
    docker("build", *arguments, ".")
    return f"sluice-test/{service}"


@pytest.mark.docker
def test_an_image_starts_with_its_restrictions_and_has_no_compiler(image: str) -> None:
    package = image.partition("/")[2].replace("-", "_")
    assert "migrate" in docker("run", "--rm", *RESTRICTIONS, image, package, "--help")
    whoami = ["--entrypoint", "id", image, "-u"]
    assert docker("run", "--rm", *RESTRICTIONS, *whoami) == "65532\n"
    look = "import shutil; print([each for each in ('cc', 'gcc', 'g++', 'make', 'uv') if shutil.which(each)])"
    assert docker("run", "--rm", *RESTRICTIONS, "--entrypoint", "python", image, "-c", look) == "[]\n"
    if package == "exporter":
        native = "from exporter.source.native import load; load(); print('native')"
        assert docker("run", "--rm", *RESTRICTIONS, "--entrypoint", "python", image, "-c", native) == "native\n"
    config = json.loads(docker("image", "inspect", image))[0]["Config"]
    assert config["Labels"]["org.opencontainers.image.title"] == f"sluice-{image.partition('/')[2]}"
    assert config["User"] == "65532:65532"
