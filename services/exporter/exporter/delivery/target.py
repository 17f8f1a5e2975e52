"""What a delivery needs of a destination, whatever its kind."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """An object at the destination: its size in bytes, and the provider's own tag if it has one."""

    size: int
    tag: str | None


@dataclass(frozen=True, slots=True)
class Upload:
    """An object to be written: `read` opens its content from an offset; `size` in bytes, `sha256` in hex."""

    name: str
    size: int
    sha256: str
    read: Callable[[int], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An object that was written and is complete.

    `is_verified` says whether the provider's own checksum matched; `bytes_sent` were sent now, less after a resumption.
    """

    tag: str | None
    is_verified: bool
    bytes_sent: int


class Target(Protocol):
    """A destination that is connected. Methods raise DeliveryError."""

    async def find(self, name: str) -> RemoteObject | None:
        """Return an object, or None when there is none of that name."""
        ...

    def read(self, name: str) -> AsyncIterator[bytes]:
        """Yield an object's content."""
        ...

    async def write(self, upload: Upload, *, overwrite: bool, token: int) -> Uploaded:
        """Write an object; nothing is visible under its name until it is complete.

        `token` is the claim's fencing token. Raises DeliveryError, destination-conflict when the name is taken.
        """
        ...

    async def delete(self, name: str) -> None:
        """Delete an object."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...
