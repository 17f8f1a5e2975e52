"""The tools that check the chart: Helm's own engine, and checkov, by version and checksum.

They have an environment of their own: nothing else of Sluice needs them, and so `.venv` is spared 150 MB.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from deploy.local.bootstrap import UV_FOLDER, uv_environment
from deploy.local.errors import LocalError
from deploy.local.folders import cache_folder

LOCK = Path(__file__).with_name("tools.lock")


@cache
def tools() -> Path:
    """Return the folder of the tools' programs; the first call on a machine makes it (seconds, once).

    Raises LocalError with the installer's words when it cannot.
    """
    made_from = hashlib.sha256(f"{sys.version_info[:2]}".encode() + LOCK.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"helm-tools-{made_from}"
    with (cache_folder() / "helm-tools.lock").open("w") as lock:
        # Two workers of the tests at once: the second waits, and finds the work done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder)
            (folder / "made").touch()
    return folder / "bin"


def _make(folder: Path) -> None:
    pip_config = _run([sys.executable, "-m", "pip", "config", "list"], dict(os.environ))
    environment = uv_environment(pip_config, dict(os.environ)) | {"UV_NO_PROGRESS": "1"}
    uv = str(UV_FOLDER / "bin/uv")
    _run([uv, "venv", "--python", sys.executable, str(folder)], environment)
    target = ["--python", str(folder / "bin/python"), "--system-certs"]
    _run([uv, "pip", "sync", *target, "--require-hashes", "--only-binary", ":all:", str(LOCK)], environment)


def _run(words: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(f"the chart's tools cannot be installed: {(done.stdout + done.stderr).strip()}")
    return done.stdout
