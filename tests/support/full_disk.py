"""A real disk that can be full: a small file system in memory, and tables of PostgreSQL on it."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.postgres import Postgres
from deploy.local.postgres_account import choose_account
from tests.support.wait import eventually_now


@dataclass(frozen=True)
class SmallDisk:
    """A mounted file system; what fills it is one file."""

    folder: Path

    def fill(self) -> None:
        """Leave no space."""
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            try:
                while ballast.write(b"\0" * 65536):
                    continue
            except OSError:
                # Full, which is what was wanted.
                return

    def free(self) -> None:
        """Make the space available again."""
        (self.folder / "ballast").unlink(missing_ok=True)

    def hold_tables(self, postgres: Postgres, database: str, tables: Sequence[str]) -> None:
        """Move tables (`schema.table`) of a PostgreSQL to this disk; what they grow by needs its space."""
        location = self.folder / "tables"
        location.mkdir()
        choose_account(postgres.folder).own(location)
        postgres.execute(f"CREATE TABLESPACE small_disk LOCATION '{location}'")
        for table in tables:
            postgres.execute(f"ALTER TABLE {table} SET TABLESPACE small_disk", database=database)


@contextmanager
def mount_small_disk(folder: Path, *, mib: int = 32) -> Iterator[SmallDisk | None]:
    """Mount a file system of that size over a folder while the block runs; None where this user may not mount."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0777", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield SmallDisk(folder)
    finally:
        eventually_now(lambda: subprocess.run(["umount", str(folder)], check=False).returncode == 0)
