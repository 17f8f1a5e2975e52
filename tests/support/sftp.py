"""A real SFTP server for tests: OpenSSH's, as a local process, with its own keys and folder."""

import getpass
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from deploy.local.ports import LOOPBACK, free_port, is_free
from deploy.local.processes import SERVICE_RANK, ChildProcess, ProcessSpec, plain_environment, wait_until
from deploy.local.reaper import Reaper

SSHD = Path("/usr/sbin/sshd")


@dataclass
class OpenSsh:
    """One server, with one user: the one that runs the tests, who logs in with `client_key`."""

    folder: Path
    reaper: Reaper
    client_key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    server_key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    port: int = field(default_factory=free_port)
    process: ChildProcess | None = None

    @property
    def user_name(self) -> str:
        """The name to log in with."""
        return getpass.getuser()

    @property
    def host_key(self) -> str:
        """The server's public key, as a destination's address has it."""
        return " ".join(self.server_key.export_public_key("openssh").decode().split()[:2])

    @property
    def private_key(self) -> str:
        """The key to log in with."""
        return self.client_key.export_private_key("openssh").decode()

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # A requirement of servers that are started as root.
        subprocess.run(["mkdir", "-p", "/run/sshd"], check=False, capture_output=True)
        host_key, users = self.folder / "host_key", self.folder / "authorized_keys"
        host_key.write_bytes(self.server_key.export_private_key("openssh"))
        host_key.chmod(0o600)
        users.write_bytes(self.client_key.export_public_key("openssh"))
        users.chmod(0o600)
        configuration = self.folder / "sshd_config"
        configuration.write_text(
            f"Port {self.port}\nListenAddress {LOOPBACK}\nHostKey {host_key}\nAuthorizedKeysFile {users}\n"
            f"PidFile {self.folder}/sshd.pid\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
            "PasswordAuthentication no\nSubsystem sftp internal-sftp\nMaxStartups 200\nLogLevel ERROR\n"
        )
        spec = ProcessSpec(
            name=f"sshd-{secrets.token_hex(3)}",
            argv=[str(SSHD), "-D", "-e", "-f", str(configuration)],
            environment=plain_environment({}),
            log=self.folder / "sshd.log",
            folder=self.folder,
            rank=SERVICE_RANK,
            grace=5,
        )
        self.process = ChildProcess(spec, self.reaper)
        wait_until(lambda: not is_free(self.port), self.process, limit=30)

    def kill(self) -> None:
        """End the server as a crash would; safe to call twice."""
        if self.process is not None:
            self.process.kill()
