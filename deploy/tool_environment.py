"""Environments for tools that only some tests need, installed from a lock by version and checksum, outside `.venv`."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.local.bootstrap import UV_FOLDER, uv_environment
from deploy.local.errors import LocalError
from deploy.local.folders import cache_folder


def tool_environment(name: str, lock: Path) -> Path:
    """Return the environment with the packages of `lock`; the first call on a machine installs it (seconds).

    Raises LocalError with the installer's message when that fails.
    """
    digest = hashlib.sha256(f"{sys.version_info[:2]}".encode() + lock.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"{name}-tools-{digest}"
    with (cache_folder() / f"{name}-tools.lock").open("w") as guard:
        # When two test processes arrive at once, the second waits and finds the environment complete.
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _install(folder, lock)
            (folder / "complete").touch()
    return folder


def _install(folder: Path, lock: Path) -> None:
    pip_config = _run([sys.executable, "-m", "pip", "config", "list"], dict(os.environ))
    environment = uv_environment(pip_config, dict(os.environ)) | {"UV_NO_PROGRESS": "1"}
    uv = str(UV_FOLDER / "bin/uv")
    _run([uv, "venv", "--python", sys.executable, str(folder)], environment)
    target = ["--python", str(folder / "bin/python"), "--system-certs"]
    _run([uv, "pip", "sync", *target, "--require-hashes", "--only-binary", ":all:", str(lock)], environment)


def _run(argv: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(f"{argv[0]} failed: {(done.stdout + done.stderr).strip()}")
    return done.stdout
