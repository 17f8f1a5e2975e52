"""Destinations on SFTP servers: temporary names until files are complete, resumption, pinned keys (rules D1, D5)."""

import asyncio
import hashlib
import posixpath
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self

import asyncssh

from exporter.delivery.target import RemoteObject, Upload, Uploaded
from exporter.errors import DeliveryCode, DeliveryError
from shared.net.egress import Egress
from shared.observe import get_logger

log = get_logger(__name__)
_LOGIN_SECONDS = 30
_KEEPALIVE_SECONDS, _KEEPALIVES = 15, 4
_CHUNK = 1024 * 1024
_WRITES_AT_ONCE = 4
_MAX_EARLIER_TOKENS = 5
_MAX_PATH = 1024
# Those of AES run in hardware nearly everywhere; the library prefers ChaCha20.
_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
_STRONG = ("ssh-ed25519", "ssh-ed448", "ecdsa-", "rsa-sha2-", "sk-")
_SFTP_CODES: dict[type[asyncssh.SFTPError], DeliveryCode] = {
    asyncssh.SFTPPermissionDenied: "destination-access-refused",
    asyncssh.SFTPWriteProtect: "destination-access-refused",
    asyncssh.SFTPNoSpaceOnFilesystem: "destination-full",
    asyncssh.SFTPQuotaExceeded: "destination-full",
    asyncssh.SFTPInvalidFilename: "destination-name-refused",
    asyncssh.SFTPNoSuchFile: "destination-missing",
    asyncssh.SFTPNoSuchPath: "destination-missing",
    asyncssh.SFTPConnectionLost: "destination-unavailable",
    asyncssh.SFTPNoConnection: "destination-unavailable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SftpLogin:
    """Where to log in, and with what; `host_key` as in `DestinationAddress`, `path` the folder of all files."""

    host: str
    port: int
    user_name: str
    host_key: str
    path: str
    password: str | None = None
    private_key: str | None = None
    passphrase: str | None = None


class SftpTarget:
    """One folder of an SFTP server."""

    def __init__(self, connection: asyncssh.SSHClientConnection, sftp: asyncssh.SFTPClient, path: str) -> None:
        self._connection = connection
        self._sftp = sftp
        self._path = path

    @classmethod
    async def open(cls, login: SftpLogin, egress: Egress) -> Self:
        """Connect to a checked address, compare the server's key with the pinned one, and log in. Raises DeliveryError.

        Neither the user's SSH configuration nor an agent is used. Raises what `Egress.connect` raises, too.
        """
        try:
            trusted = asyncssh.import_public_key(login.host_key)
            keys = [asyncssh.import_private_key(login.private_key, login.passphrase)] if login.private_key else []
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError):
            raise DeliveryError(
                "destination-configuration",
                "The host key or the private key cannot be read; a passphrase may be missing or wrong.",
            ) from None
        sock = await egress.connect(login.host, login.port)
        try:
            with _translate():
                connection = await asyncssh.connect(
                    login.host,
                    login.port,
                    sock=sock,
                    username=login.user_name,
                    password=login.password,
                    client_keys=keys or None,
                    known_hosts=([trusted], [], []),
                    server_host_key_algs=_get_signature_algorithms(trusted),
                    encryption_algs=_CIPHERS,
                    config=None,
                    agent_path=None,
                    gss_host=None,
                    login_timeout=_LOGIN_SECONDS,
                    keepalive_interval=_KEEPALIVE_SECONDS,
                    keepalive_count_max=_KEEPALIVES,
                )
        except BaseException:
            sock.close()
            raise
        try:
            with _translate():
                sftp = await connection.start_sftp_client()
                path = await sftp.realpath(login.path or ".")
        except BaseException:
            connection.abort()
            raise
        return cls(connection, sftp, str(path))

    async def find(self, name: str) -> RemoteObject | None:
        """Return a file, or None when there is none of that name. Raises DeliveryError."""
        try:
            with _translate():
                attributes = await self._sftp.stat(self._resolve(name))
        except DeliveryError as error:
            if error.code == "destination-missing":
                return None
            raise
        tag = None if attributes.mtime is None else f"mtime-{int(attributes.mtime)}"
        return RemoteObject(attributes.size or 0, tag)

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """Yield a file's content. Raises DeliveryError."""
        async for chunk in self._read_path(self._resolve(name)):
            yield chunk

    async def write(self, upload: Upload, *, overwrite: bool, token: int) -> Uploaded:
        """Write a file under a temporary name, read it back, and rename it. Raises DeliveryError.

        What an earlier claim has left is renamed first, so that a process which lost its claim can rename nothing, and
        continued. Both write the same bytes at the same places.
        """
        path = self._resolve(upload.name)
        with _translate():
            await self._sftp.makedirs(posixpath.dirname(path), exist_ok=True)
        temporary = await self._adopt_temporary(upload, path, token)
        sent = await self._send(upload, temporary)
        if await self._hash(temporary) != upload.sha256:
            with _translate():
                await self._sftp.remove(temporary)
            raise DeliveryError("destination-content", f"The file {upload.name} differs after its transfer.")
        await self._rename(temporary, path, overwrite=overwrite)
        found = await self.find(upload.name)
        return Uploaded(tag=found.tag if found else None, is_verified=True, bytes_sent=sent)

    async def delete(self, name: str) -> None:
        """Delete a file. Raises DeliveryError."""
        with _translate():
            await self._sftp.remove(self._resolve(name))

    async def close(self) -> None:
        """Disconnect."""
        self._connection.close()
        with suppress(asyncssh.Error, OSError, TimeoutError):
            await asyncio.wait_for(self._connection.wait_closed(), 5)

    def _resolve(self, name: str) -> str:
        path = posixpath.join(self._path, name)
        if len(path.encode()) > _MAX_PATH:
            raise DeliveryError("destination-name-refused", "The file's path is longer than servers allow.")
        return path

    async def _adopt_temporary(self, upload: Upload, path: str, token: int) -> str:
        """Return this claim's temporary path, to which an earlier claim's file has been renamed if there was one."""
        key = hashlib.sha256(f"{upload.name}\0{upload.sha256}".encode()).hexdigest()[:20]
        folder = posixpath.dirname(path)
        own = posixpath.join(folder, f".sluice-{key}-{token}.part")
        with _translate():
            if await self._sftp.exists(own):
                return own
            for earlier in range(token - 1, max(0, token - 1 - _MAX_EARLIER_TOKENS), -1):
                with suppress(asyncssh.SFTPNoSuchFile):
                    await self._sftp.rename(posixpath.join(folder, f".sluice-{key}-{earlier}.part"), own)
                    break
        return own

    async def _send(self, upload: Upload, path: str) -> int:
        """Write what the temporary file lacks; return the bytes sent."""
        with _translate():
            file = await self._sftp.open(path, asyncssh.FXF_WRITE | asyncssh.FXF_CREAT, encoding=None)
        try:
            return await self._fill(file, upload, path)
        finally:
            with suppress(asyncssh.Error, OSError):
                await file.close()

    async def _fill(self, file: asyncssh.SFTPClientFile, upload: Upload, path: str) -> int:
        with _translate():
            size = (await file.stat()).size or 0
        # Writes are not answered in their order, so there may be gaps near the end of what is there.
        begin = max(0, min(size, upload.size) - 2 * _WRITES_AT_ONCE * _CHUNK)
        offset = begin
        places = asyncio.Semaphore(_WRITES_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as tasks:
                async for chunk in upload.read(begin):
                    await places.acquire()
                    tasks.create_task(_write_chunk(file, chunk, offset, places=places))
                    offset += len(chunk)
        except BaseExceptionGroup as errors:
            if (error := _find_error(errors)) is None:
                raise
            raise await self._explain(error, path) from None
        if offset != upload.size:
            raise DeliveryError("store-unavailable", "A file in Sluice's own store is incomplete.")
        with _translate(), suppress(asyncssh.SFTPOpUnsupported):
            await file.fsync()
        return offset - begin

    async def _hash(self, path: str) -> str:
        digest = hashlib.sha256()
        async for chunk in self._read_path(path):
            digest.update(chunk)
        return digest.hexdigest()

    async def _read_path(self, path: str) -> AsyncIterator[bytes]:
        with _translate():
            async with self._sftp.open(path, "rb") as file:
                offset = 0
                ahead = asyncio.ensure_future(file.read(_CHUNK, offset))
                try:
                    while chunk := bytes(await ahead):  # type: ignore[arg-type]  # opened without an encoding
                        offset += len(chunk)
                        ahead = asyncio.ensure_future(file.read(_CHUNK, offset))
                        yield chunk
                finally:
                    ahead.cancel()

    async def _rename(self, temporary: str, path: str, *, overwrite: bool) -> None:
        with _translate():
            if overwrite:
                await self._sftp.posix_rename(temporary, path)
                return
            try:
                await self._sftp.rename(temporary, path)
            except asyncssh.SFTPFailure:
                if not await self._sftp.exists(path):
                    raise
                await self._sftp.remove(temporary)
                raise DeliveryError("destination-conflict", "A file of that name appeared meanwhile.") from None

    async def _explain(self, error: DeliveryError, path: str) -> DeliveryError:
        """Return the error as a full disk where the server's answer says no more than that writing failed."""
        if error.code == "destination-access-refused":
            with suppress(asyncssh.Error, OSError):
                usage = await self._sftp.statvfs(posixpath.dirname(path))
                if usage.bavail * usage.frsize < _WRITES_AT_ONCE * _CHUNK:
                    return DeliveryError("destination-full", "The server's disk is full.")
        return error


async def _write_chunk(file: asyncssh.SFTPClientFile, chunk: bytes, offset: int, *, places: asyncio.Semaphore) -> None:
    try:
        with _translate():
            await file.write(chunk, offset)
    finally:
        places.release()


async def fetch_host_key(host: str, port: int, egress: Egress) -> asyncssh.SSHKey:
    """Return the key that a server presents, without a login. Raises DeliveryError, and what Egress.connect raises."""
    sock = await egress.connect(host, port)
    try:
        with _translate():
            async with asyncio.timeout(_LOGIN_SECONDS):
                key = await asyncssh.get_server_host_key(host, port, sock=sock, config=None)
    except BaseException:
        sock.close()
        raise
    if key is None:
        raise DeliveryError("destination-unavailable", "The server presents no key.")
    return key


def format_host_key(key: asyncssh.SSHKey) -> tuple[str, str]:
    """Return a host key in the form of `DestinationAddress.host_key`, and its fingerprint as OpenSSH shows it."""
    text = key.export_public_key("openssh").decode("ascii").split()
    return " ".join(text[:2]), key.get_fingerprint()


def _get_signature_algorithms(key: asyncssh.SSHKey) -> list[str]:
    """Return the algorithms with which a server may prove that it has the pinned key, so that it presents no other."""
    return [name for each in key.sig_algorithms if (name := each.decode("ascii")).startswith(_STRONG)]


def _find_error(errors: BaseExceptionGroup) -> DeliveryError | None:
    return next((each for each in errors.exceptions if isinstance(each, DeliveryError)), None)


@contextmanager
def _translate() -> Iterator[None]:
    """Raise the library's errors as ours; a server's own words are not repeated."""
    try:
        yield
    except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
        raise DeliveryError(
            "destination-host-key",
            "The server's key is not the confirmed one. If the server was replaced, remove the host key, test the "
            "destination and confirm the new fingerprint; otherwise the connection may be intercepted.",
        ) from error
    except asyncssh.PermissionDenied as error:
        message = "The server refuses the user name, password or key."
        raise DeliveryError("destination-login-refused", message) from error
    except asyncssh.SFTPError as error:
        code = _SFTP_CODES.get(type(error), "destination-access-refused")
        problem = type(error).__name__.removeprefix("SFTP")
        raise DeliveryError(code, f"The server reports a problem: {problem}.") from error
    except (asyncssh.Error, OSError, TimeoutError) as error:
        raise DeliveryError(
            "destination-unavailable", f"The connection to the server failed ({type(error).__name__})."
        ) from error
