"""Destinations in object stores: S3 and compatible ones, Google Cloud Storage, Azure Blob Storage (rule D1)."""

import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import obstore

from exporter.delivery.digests import PartDigest
from exporter.delivery.target import RemoteObject, Upload, Uploaded
from exporter.errors import DeliveryCode, DeliveryError
from shared.net.addresses import AddressRefused
from shared.net.proxy import EgressProxy, HostNotListed, Ticket
from shared.objectstore import ERRORS, StoreFault, to_store_fault

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Backend

_MIB = 1024 * 1024
_SMALLEST_PART = 8 * _MIB
_MAX_PARTS = 10_000
_PARTS_AT_ONCE = 3
_CHUNK = _MIB
_PROVIDER_CODES: dict[DeliveryCode, tuple[str, ...]] = {
    "destination-missing": ("NoSuchBucket", "ContainerNotFound", "AccountIsDisabled"),
    "destination-login-refused": (
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AuthenticationFailed", "401"),
    ),
    "destination-access-refused": ("AccessDenied", "AllAccessDisabled", "AuthorizationPermissionMismatch", "403"),
    "destination-clock-skew": ("RequestTimeTooSkewed", "RequestExpired"),
    "destination-region": ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"),
    "destination-redirects": ("301", "302", "303", "307", "308"),
    "destination-full": ("507", "QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"),
    "destination-name-refused": ("KeyTooLongError", "XMinioInvalidObjectName", "InvalidUri"),
    "destination-conflict": ("409", "412", "PreconditionFailed", "BlobAlreadyExists"),
}
_CODES = {provided: code for code, each in _PROVIDER_CODES.items() for provided in each}


class CloudTarget:
    """One bucket or container, below its prefix."""

    def __init__(
        self, backend: "Backend", proxy: EgressProxy, ticket: Ticket, *, find_fault: Callable[[], DeliveryError | None]
    ) -> None:
        """`find_fault` returns why the keys could not be obtained, or None."""
        self._backend = backend
        self._proxy = proxy
        self._ticket = ticket
        self._find_fault = find_fault

    async def find(self, name: str) -> RemoteObject | None:
        """Return an object, or None when there is none of that name. Raises DeliveryError."""
        try:
            with self._translate():
                meta = await obstore.head_async(self._backend, name)
        except _ObjectMissing:
            return None
        return RemoteObject(meta["size"], _clean(meta["e_tag"]))

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """Yield an object's content. Raises DeliveryError."""
        try:
            with self._translate():
                found = await obstore.get_async(self._backend, name)
                async for chunk in found.stream(min_chunk_size=_CHUNK):
                    yield bytes(chunk)
        except _ObjectMissing:
            raise DeliveryError("destination-content", f"The object {name} has disappeared.") from None

    async def write(self, upload: Upload, *, overwrite: bool, token: int) -> Uploaded:
        """Write an object in parts, several at a time; it appears when it is complete. Raises DeliveryError.

        The caller has looked for an object of the name: stores have no condition for uploads in parts.
        """
        del overwrite, token
        part_size = get_part_size(upload.size)
        digest = PartDigest(part_size)
        with self._translate():
            writer = obstore.open_writer_async(
                self._backend, upload.name, buffer_size=part_size, max_concurrency=_PARTS_AT_ONCE
            )
            try:
                async for chunk in upload.read(0):
                    digest.update(chunk)
                    await writer.write(chunk)
                digest.check(upload.sha256, upload.size)
            except BaseException as error:
                # The library abandons an unfinished upload only when its block is left by an exception.
                with suppress(*ERRORS, type(error)):
                    await writer.__aexit__(type(error), error, error.__traceback__)
                raise
            await writer.close()
        found = await self.find(upload.name)
        if found is None or found.size != upload.size:
            raise DeliveryError("destination-content", f"The object {upload.name} is not complete after its transfer.")
        return Uploaded(tag=found.tag, is_verified=found.tag in digest.get_tags(), bytes_sent=upload.size)

    async def delete(self, name: str) -> None:
        """Delete an object. Raises DeliveryError."""
        with suppress(_ObjectMissing), self._translate():
            await obstore.delete_async(self._backend, name)

    async def close(self) -> None:
        """Withdraw the right to connect."""
        self._proxy.withdraw(self._ticket)

    @contextmanager
    def _translate(self) -> Iterator[None]:
        """Raise the library's errors as ours, without their messages, which quote requests."""
        self._ticket.fault = None
        try:
            yield
        except ERRORS as error:
            fault = to_store_fault(error)
            if (refusal := self._find_fault()) is not None:
                raise refusal from error
            if self._ticket.fault is not None:
                raise to_connection_error(self._ticket.fault) from error
            if fault.kind == "missing":
                raise _ObjectMissing from error
            raise _to_delivery_error(fault) from error


class _ObjectMissing(Exception):
    """There is no object of the name."""


def get_part_size(size: int) -> int:
    """Return the size of parts, in whole MiB, with which an object of `size` bytes has at most 10,000."""
    return max(_SMALLEST_PART, math.ceil(size / _MAX_PARTS / _MIB) * _MIB)


def to_connection_error(fault: Exception) -> DeliveryError:
    """Return what a fault of `shared.net` means for a delivery."""
    if isinstance(fault, AddressRefused):
        return DeliveryError("destination-address-refused", f"The destination's address may not be used: {fault}.")
    if isinstance(fault, HostNotListed):
        return DeliveryError(
            "destination-redirects", "The destination redirects to another host. Enter that host's address instead."
        )
    return DeliveryError("destination-unavailable", f"The destination cannot be reached: {fault}.")


def _to_delivery_error(fault: StoreFault) -> DeliveryError:
    unknown: DeliveryCode = "destination-access-refused" if fault.kind == "refused" else "destination-unavailable"
    code = _CODES.get(fault.code, unknown)
    return DeliveryError(code, f"The destination reports a problem: {fault.message}.")


def _clean(tag: Any) -> str | None:
    return str(tag).strip('"') if tag else None
