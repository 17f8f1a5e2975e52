"""Makes `.venv` from the committed locks: run by make with the system's Python, needs the standard library only.

Nothing is done when neither the locks, nor the parts' pyproject files, nor the Python have changed since the last time.
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

from deploy.local.bootstrap_failures import CLOSED, NO_SPACE, Words, explain, no_venv

CHECKOUT = Path(__file__).resolve().parents[2]
ENVIRONMENT = CHECKOUT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
UV_FOLDER = ENVIRONMENT / "uv"
STAMP = ENVIRONMENT / "made-from"
LOG = ENVIRONMENT / "bootstrap.log"
UV_LOCK = Path(__file__).with_name("bootstrap.lock")
LOCK = CHECKOUT / "requirements.lock"
PARTS = ("shared", "services/job-api", "services/scheduler", "services/exporter", "services/history", "client")
BUILT_FROM = CHECKOUT / "services/exporter/exporter/source/native"
NEEDED_BYTES = 1_500_000_000

# pip's settings, and what uv calls the same; uv reads neither pip's files nor its variables.
SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}


class BootstrapError(Exception):
    """The environment cannot be made; says what is wrong and what mends it."""

    def __init__(self, words: Words) -> None:
        super().__init__(str(words))


def digest() -> str:
    """Return what the environment is made from, as one checksum."""
    made_from = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    built_from = (BUILT_FROM / "transcode.c", BUILT_FROM / "build.py")
    for file in (LOCK, UV_LOCK, *(CHECKOUT / part / "pyproject.toml" for part in PARTS), *built_from):
        made_from.update(hashlib.sha256(file.read_bytes()).digest())
    return made_from.hexdigest()


def is_made(wanted: str) -> bool:
    """Tell whether the environment is there and was made from the same locks."""
    try:
        return STAMP.read_text().strip() == wanted and PYTHON.exists()
    except OSError:
        return False


def check_machine() -> None:
    """Refuse what would fail half-way; raises BootstrapError."""
    if not os.access(CHECKOUT, os.W_OK):
        raise BootstrapError(Words(f"{CHECKOUT} cannot be written", f"look at its owner with: ls -ld {CHECKOUT}"))
    if not ENVIRONMENT.exists() and shutil.disk_usage(CHECKOUT).free < NEEDED_BYTES:
        raise BootstrapError(NO_SPACE)
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise BootstrapError(no_venv(f"{sys.version_info.major}.{sys.version_info.minor}"))


def run(argv: list[str], environment: dict[str, str] | None = None) -> str:
    """Run an installer, keep what it prints in the log, and return it; raises BootstrapError in its place."""
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
        words_of_failure = explain(done.stdout)
        where = f" (all that was said is in {LOG.relative_to(CHECKOUT)})"
        raise BootstrapError(Words(words_of_failure.problem + where, words_of_failure.hint))
    return done.stdout


def make_environment() -> None:
    """Make `.venv` with a pip in it, unless it is there with the same Python."""
    probe = "import sys; print(sys.version_info[:2], sys.prefix)"
    answer = (
        subprocess.run([str(PYTHON), "-c", probe], capture_output=True, text=True, check=False)
        if PYTHON.exists()
        else None
    )
    same = answer is not None and answer.stdout.strip() == f"{sys.version_info[:2]} {ENVIRONMENT}"
    run([sys.executable, "-m", "venv", *([] if same else ["--clear"]), str(ENVIRONMENT)])


def install_uv() -> Path:
    """Install the pinned uv in a folder of its own, out of its own reach, and return its program."""
    program = UV_FOLDER / "bin" / "uv"
    argv = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    argv += ["--require-hashes", "--only-binary", ":all:", "--upgrade", "--target", str(UV_FOLDER), "-r", str(UV_LOCK)]
    run(argv)
    return program


def uv_environment(pip_config: str, inherited: dict[str, str]) -> dict[str, str]:
    """Return the environment for uv, with pip's settings (as `pip config list` prints them) under uv's names.

    What uv is told directly stays as it is.
    """
    environment = dict(inherited)
    for line in pip_config.splitlines():
        name, separator, value = line.partition("=")
        ours = SETTINGS.get(name.rpartition(".")[2])
        if not separator or ours is None or ours in inherited:
            continue
        values = str(ast.literal_eval(value)).split()
        if ours == "UV_FIND_LINKS":
            values = [each for each in values if "://" in each or Path(each).exists()]
        if values:
            environment[ours] = " ".join(values)
    return environment


def install_packages(uv: Path) -> None:
    """Bring the environment to what the lock says, and put our own parts on top of it."""
    pip_config = run([str(PYTHON), "-m", "pip", "config", "list"])
    environment = uv_environment(pip_config, dict(os.environ)) | {"UV_NO_PROGRESS": "1"}
    target = ["--python", str(PYTHON), "--system-certs"]
    run([str(uv), "pip", "sync", *target, "--require-hashes", "--only-binary", ":all:", str(LOCK)], environment)
    editable = [word for part in PARTS for word in ("--editable", f"./{part}")]
    options = ["--no-deps", "--no-build-isolation", "--offline"]
    run([str(uv), "pip", "install", *target, *options, *editable], environment)


def build_native() -> None:
    """Compile the exporter's native part; without a compiler, say that it is missing and go on."""
    say(run([str(PYTHON), "-m", "exporter.source.native.build"]).strip())


def bootstrap() -> None:
    """Make the environment when it is not there or was made from other locks."""
    with Path(__file__).open() as lock:
        # Two makes at once: the second waits, and finds the work done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = digest()
        if is_made(wanted):
            return
        check_machine()
        packages = sum(line[:1].isalnum() for line in LOCK.read_text().splitlines())
        say(f"Making .venv with Python {sys.version_info.major}.{sys.version_info.minor}")
        make_environment()
        STAMP.unlink(missing_ok=True)
        say("Installing uv, by version and checksum (19 MB)")
        uv = install_uv()
        cache = run([str(uv), "cache", "dir"]).strip()
        say(f"Installing {packages} packages, by version and checksum (about 300 MB once, kept in {cache})")
        install_packages(uv)
        build_native()
        STAMP.write_text(wanted + "\n")


def say(text: str) -> None:
    """Tell the person what happens now."""
    print(text, flush=True)


def main() -> int:
    """Make the environment; return the exit code."""
    try:
        bootstrap()
    except BootstrapError as error:
        print(f"sluice: {error}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"sluice: {error.filename}: {CLOSED}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"sluice: {explain(str(error))}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
