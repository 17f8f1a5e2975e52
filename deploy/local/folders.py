"""Where the local stack keeps its files: the cache, and the state of one checkout."""

import hashlib
import os
from pathlib import Path

from deploy.local.errors import LocalError

CHECKOUT = Path(__file__).resolve().parents[2]


def cache_folder() -> Path:
    """Return the folder for what is downloaded or built once: `$XDG_CACHE_HOME/sluice`, else `~/.cache/sluice`.

    Raises LocalError when the folder cannot be created.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return create_folder(Path(base) / "sluice")


def state_folder() -> Path:
    """Return the folder in which this checkout's local stack keeps its data between runs.

    It is in the checkout. For root it is in `/var/tmp/sluice-0`: PostgreSQL refuses to run as root, and the account
    that it runs as instead cannot enter a home folder. Raises LocalError as `root_folder` does.
    """
    if os.geteuid() != 0:
        return CHECKOUT / ".local"
    return root_folder() / hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]


def root_folder() -> Path:
    """Return the folder that root shares with the account PostgreSQL runs as.

    Raises LocalError when another user has created it: its parent is writable for everybody.
    """
    folder = create_folder(Path("/var/tmp/sluice-0"))  # noqa: S108 - checked below
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != 0:
        raise LocalError(f"{folder} does not belong to root", hint=f"remove it with: rm -r {folder}")
    folder.chmod(0o755)
    return folder


def create_folder(folder: Path) -> Path:
    """Create a folder and its parents unless they exist, and return it; raises LocalError with the reason."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalError(f"cannot create the folder {folder}: {error.strerror}") from error
    return folder
