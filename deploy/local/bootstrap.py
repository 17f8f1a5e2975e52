"""Creates `.venv` from the committed locks. Run by make with the system's Python; needs only the standard library.

Nothing is done when the locks, the distributions' pyproject files and the Python are unchanged since the last time.
"""

import ast
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.local.bootstrap_failures import NO_SPACE, NOT_WRITABLE, Failure, explain_failure, missing_venv

CHECKOUT = Path(__file__).resolve().parents[2]
ENVIRONMENT = CHECKOUT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
UV_FOLDER = ENVIRONMENT / "uv"
STAMP = ENVIRONMENT / "made-from"
LOG = ENVIRONMENT / "bootstrap.log"
UV_LOCK = Path(__file__).with_name("bootstrap.lock")
LOCK = CHECKOUT / "requirements.lock"
DISTRIBUTIONS = ("shared", "services/job-api", "services/scheduler", "services/exporter", "services/history", "client")
NATIVE_SOURCES = CHECKOUT / "services/exporter/exporter/source/native"
NEEDED_BYTES = 1_500_000_000

# pip's settings under uv's names: uv reads neither pip's files nor its variables.
SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}


class BootstrapError(Exception):
    """The environment cannot be created; the text is the problem and a hint."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))


def compute_digest() -> str:
    """Return one checksum of everything that the environment is created from."""
    digest = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    built_from = (NATIVE_SOURCES / "transcode.c", NATIVE_SOURCES / "build.py")
    for file in (LOCK, UV_LOCK, *(CHECKOUT / each / "pyproject.toml" for each in DISTRIBUTIONS), *built_from):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def is_current(wanted: str) -> bool:
    """Return whether the environment exists and was created from the same files."""
    try:
        return STAMP.read_text().strip() == wanted and PYTHON.exists()
    except OSError:
        return False


def check_machine() -> None:
    """Raise BootstrapError when the installation would fail half-way."""
    if not os.access(CHECKOUT, os.W_OK):
        raise BootstrapError(Failure(f"{CHECKOUT} cannot be written", f"check its owner with: ls -ld {CHECKOUT}"))
    if not ENVIRONMENT.exists() and shutil.disk_usage(CHECKOUT).free < NEEDED_BYTES:
        raise BootstrapError(NO_SPACE)
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise BootstrapError(missing_venv(f"{sys.version_info.major}.{sys.version_info.minor}"))


def run(argv: list[str], environment: dict[str, str] | None = None) -> str:
    """Run an installer, append its output to the log, and return it; raises BootstrapError when it fails."""
    done = subprocess.run(
        argv,
        env=environment,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ENVIRONMENT.exists():
        with LOG.open("a") as log:
            log.write(f"$ {' '.join(argv)}\n{done.stdout}\n")
    if done.returncode != 0:
        failure = explain_failure(done.stdout)
        where = f" (full output in {LOG.relative_to(CHECKOUT)})"
        raise BootstrapError(Failure(failure.problem + where, failure.hint))
    return done.stdout


def create_environment() -> None:
    """Create `.venv` with pip in it, unless it exists with the same Python. Raises BootstrapError when that fails."""
    probe = "import sys; print(sys.version_info[:2], sys.prefix)"
    answer = (
        subprocess.run([str(PYTHON), "-c", probe], capture_output=True, text=True, check=False)
        if PYTHON.exists()
        else None
    )
    same = answer is not None and answer.stdout.strip() == f"{sys.version_info[:2]} {ENVIRONMENT}"
    run([sys.executable, "-m", "venv", *([] if same else ["--clear"]), str(ENVIRONMENT)])


def install_uv() -> Path:
    """Install the pinned uv in a folder that it does not manage itself; return its program. Raises BootstrapError."""
    program = UV_FOLDER / "bin" / "uv"
    argv = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    argv += ["--require-hashes", "--only-binary", ":all:", "--upgrade", "--target", str(UV_FOLDER), "-r", str(UV_LOCK)]
    run(argv)
    return program


def uv_environment(pip_config: str, inherited: dict[str, str]) -> dict[str, str]:
    """Return the environment for uv, with pip's settings (as `pip config list` prints them) under uv's names.

    Variables of uv that are set already win.
    """
    environment = dict(inherited)
    for line in pip_config.splitlines():
        name, separator, value = line.partition("=")
        variable = SETTINGS.get(name.rpartition(".")[2])
        if not separator or variable is None or variable in inherited:
            continue
        values = str(ast.literal_eval(value)).split()
        if variable == "UV_FIND_LINKS":
            values = [each for each in values if "://" in each or Path(each).exists()]
        if values:
            environment[variable] = " ".join(values)
    return environment


def install_packages(uv: Path) -> None:
    """Install exactly the lock's packages, then our own distributions. Raises BootstrapError when that fails."""
    pip_config = run([str(PYTHON), "-m", "pip", "config", "list"])
    environment = uv_environment(pip_config, dict(os.environ)) | {"UV_NO_PROGRESS": "1"}
    target = ["--python", str(PYTHON), "--system-certs"]
    run([str(uv), "pip", "sync", *target, "--require-hashes", "--only-binary", ":all:", str(LOCK)], environment)
    editable = [word for each in DISTRIBUTIONS for word in ("--editable", f"./{each}")]
    options = ["--no-deps", "--no-build-isolation", "--offline"]
    run([str(uv), "pip", "install", *target, *options, *editable], environment)


def build_native() -> None:
    """Compile the exporter's native part; without a compiler, print that it is missing. Raises BootstrapError."""
    print_progress(run([str(PYTHON), "-m", "exporter.source.native.build"]).strip())


def bootstrap() -> None:
    """Create the environment unless it is current. Raises BootstrapError when that fails."""
    with Path(__file__).open() as lock:
        # Of two makes at the same time, the second waits and finds the work done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = compute_digest()
        if is_current(wanted):
            return
        check_machine()
        packages = sum(line[:1].isalnum() for line in LOCK.read_text().splitlines())
        print_progress(f"Creating .venv with Python {sys.version_info.major}.{sys.version_info.minor}")
        create_environment()
        STAMP.unlink(missing_ok=True)
        print_progress("Installing uv, by version and checksum (19 MB)")
        uv = install_uv()
        cache = run([str(uv), "cache", "dir"]).strip()
        print_progress(f"Installing {packages} packages, by version and checksum (about 300 MB once, kept in {cache})")
        install_packages(uv)
        build_native()
        STAMP.write_text(wanted + "\n")


def print_progress(text: str) -> None:
    """Print what happens now, at once even into a pipe."""
    print(text, flush=True)


def main() -> int:
    """Create the environment; return the exit code."""
    try:
        bootstrap()
    except BootstrapError as error:
        print(f"sluice: {error}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"sluice: {error.filename}: {NOT_WRITABLE}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"sluice: {explain_failure(str(error))}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
