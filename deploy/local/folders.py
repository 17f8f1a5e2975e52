"""Where the local stack keeps things: the cache, and the state of one checkout."""

import hashlib
import os
from pathlib import Path

from deploy.local.errors import LocalError

CHECKOUT = Path(__file__).resolve().parents[2]


def cache_folder() -> Path:
    """Return the folder for what is downloaded or built once: `$XDG_CACHE_HOME/sluice`, else `~/.cache/sluice`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return make_folder(Path(base) / "sluice")


def state_folder() -> Path:
    """Return the folder in which this checkout's local stack keeps its data between runs.

    It lies in the checkout. Under root it lies in `/var/tmp/sluice-0`: PostgreSQL refuses to work as root, and the
    user it works as instead cannot enter a home folder.
    """
    if os.geteuid() != 0:
        return CHECKOUT / ".local"
    return root_folder() / hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]


def root_folder() -> Path:
    """Return the folder that root shares with the user PostgreSQL runs as.

    Raises LocalError when somebody else made it: everybody may write to its parent.
    """
    folder = make_folder(Path("/var/tmp/sluice-0"))  # noqa: S108 - checked below
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != 0:
        raise LocalError(f"{folder} does not belong to root", hint=f"remove it with: rm -r {folder}")
    folder.chmod(0o755)
    return folder


def make_folder(folder: Path) -> Path:
    """Make a folder with its parents, and return it; raises LocalError with the reason when it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalError(f"cannot make the folder {folder}: {error.strerror}") from error
    return folder
