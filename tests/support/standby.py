"""A streaming standby of a PostgreSQL server, copied from it while it runs."""

import subprocess
from pathlib import Path

from deploy.local.folders import create_folder
from deploy.local.postgres import Postgres
from deploy.local.postgres_account import choose_account, find_installation
from deploy.local.processes import plain_environment
from deploy.local.reaper import Reaper

PRIMARY_SETTINGS = {"wal_level": "logical", "max_wal_senders": "10", "max_replication_slots": "10"}
"""What a server needs in order to have standbys and subscribers."""
STANDBY_SETTINGS = {**PRIMARY_SETTINGS, "wal_receiver_status_interval": "1s", "max_standby_streaming_delay": "0"}
"""The standby cancels a query at once that keeps it from replaying."""


def create_standby(primary: Postgres, folder: Path, reaper: Reaper) -> Postgres:
    """Copy a running server and start the copy as its standby; the primary needs PRIMARY_SETTINGS."""
    account = choose_account(folder)
    create_folder(folder).chmod(0o700)
    (folder / "password").write_text((primary.folder / "password").read_text())
    for path in (folder, folder / "password"):
        account.own(path)
    address, password = primary.admin_login("postgres")
    subprocess.run(
        [
            str(find_installation(account) / "bin" / "pg_basebackup"),
            f"--dbname={address}",
            f"--pgdata={folder / 'data'}",
            *("--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"),
        ],
        env=plain_environment({"PGPASSWORD": password}),
        cwd=folder,
        check=True,
        user=account.user,
        group=account.group,
        extra_groups=None if account.user is None else [],
    )
    standby = Postgres(folder, reaper, durable=False, settings=STANDBY_SETTINGS)
    standby.start()
    return standby
