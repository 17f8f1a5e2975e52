"""The object store: opening the one that the settings name, and what its errors mean."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions
from obstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, S3Store, from_url

from shared.errors import InvalidSettings

if TYPE_CHECKING:
    from obstore.store import ObjectStore

Options = Mapping[str, str]
ERRORS = (exceptions.BaseError, OSError, TimeoutError)
"""The errors that the library's calls raise."""

_NONE: Options = MappingProxyType({})
_CONNECTION = {
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "proxy_ca_certificate",
    "proxy_excludes",
    "proxy_url",
    "read_timeout",
    "root_certificate",
    "timeout",
}
_FLAGS = {"allow_http", "allow_invalid_certificates"}
# The library's own longest pause is 15 s, and its default number of retries is used up within 2 s.
_BACKOFF = {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2}
# A download may take hours, so a request ends when nothing has arrived for a while.
_LIMITS = {"connect_timeout": "5 s", "read_timeout": "60 s", "timeout": "1 day"}
_CONCURRENT_DELETES = 16


def open_backend(
    url: str, options: Options = _NONE, *, patience: timedelta = timedelta(minutes=1), timeout: str | None = None
) -> "ObjectStore":
    """Open the store of a URL: `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.

    `options` are the library's: for S3 `access_key_id`, `secret_access_key`, `region`, `endpoint`; for Google
    `service_account_key` or `service_account_path`; for Azure `account_name` and `account_key`; for all `allow_http`
    ("true"), `root_certificate` (PEM), `proxy_url`, `timeout` ("30 s") and others. Missing credentials come from the
    machine's own role or the cloud's usual environment variables. A failing request is retried for `patience`.
    `memory:///` opens an empty store in memory, for tests. Raises InvalidSettings; its message repeats no value, which
    could be a secret.
    """
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return MemoryStore()
    if parts.scheme == "file":
        return _open_folder(url)
    connection: dict[str, Any] = _LIMITS | ({"timeout": timeout} if timeout else {})
    connection |= {name: _parse_flag(name, text) for name, text in options.items() if name in _CONNECTION}
    config: Any = {name: text for name, text in options.items() if name not in _CONNECTION}
    retries: Any = {"max_retries": 1000, "retry_timeout": patience, "backoff": _BACKOFF}
    from_any: Any = from_url  # its overloads are typed for one cloud each
    try:
        backend: ObjectStore = from_any(url, config=config, client_options=connection, retry_config=retries)
    except exceptions.UnknownConfigurationKeyError as error:
        unknown = re.search(r"'(\w{1,60})'", str(error))
        raise InvalidSettings(f"the store has no option {unknown[1] if unknown else ''}") from None
    except (exceptions.BaseError, ValueError, TypeError):
        raise InvalidSettings(
            f"the store's URL ({parts.scheme or 'no scheme'}) or its options are not understood"
        ) from None
    return backend


def open_bucket(
    kind: Literal["s3", "gcs", "azure"],
    bucket: str,
    prefix: str,
    *,
    config: Options,
    connection: Options,
    credentials: Any = None,
    patience: timedelta,
) -> "ObjectStore":
    """Open a bucket or container below a prefix; `config` and `connection` are as the options of `open_backend`.

    `credentials` is the library's credential provider, where the keys change. Raises InvalidSettings.
    """
    client: Any = _LIMITS | {"timeout": "5 min"} | dict(connection)
    retries: Any = {"max_retries": 1000, "retry_timeout": patience, "backoff": _BACKOFF}
    opened: Any = {"s3": S3Store, "gcs": GCSStore, "azure": AzureStore}[kind]
    others = {} if credentials is None else {"credential_provider": credentials}
    try:
        backend: ObjectStore = opened(
            bucket, prefix=prefix or None, config=dict(config), client_options=client, retry_config=retries, **others
        )
    except (exceptions.BaseError, ValueError, TypeError):
        raise InvalidSettings("the address or the credentials are not understood") from None
    return backend


def _open_folder(url: str) -> LocalStore:
    parts = urlsplit(url)
    if parts.netloc or not parts.path:
        raise InvalidSettings("the store's URL must be file:///absolute/folder")
    try:
        return LocalStore(Path(unquote(parts.path)), mkdir=True)
    except ERRORS as error:
        raise InvalidSettings(f"the store's folder cannot be used: {to_store_fault(error).message}") from None


def _parse_flag(name: str, text: str) -> str | bool:
    if name not in _FLAGS:
        return text
    if text not in {"true", "false"}:
        raise InvalidSettings(f"the store's option {name} must be true or false")
    return text == "true"


@dataclass(frozen=True, slots=True)
class StoreFault:
    """What is wrong, in a message that quotes no request.

    `kind` is `missing` for an object that does not exist, `refused` where a retry cannot help, else `unavailable`;
    `code` is the provider's own, an HTTP status or an errno, empty where there is none.
    """

    kind: Literal["missing", "refused", "unavailable"]
    message: str
    code: str = ""


_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_REFUSALS = (
    exceptions.PermissionDeniedError,
    exceptions.UnauthenticatedError,
    exceptions.InvalidPathError,
    exceptions.NotSupportedError,
    PermissionError,
)
_MESSAGES = {
    "NoSuchBucket": "the bucket does not exist",
    "ContainerNotFound": "the container does not exist",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "InvalidAccessKeyId": "the access key is unknown",
    "AccessDenied": "the credentials lack permission",
    "RequestTimeTooSkewed": "the clocks of this machine and of the store differ too much",
    "13": "this process lacks permission",
    "28": "the store is full",
    "30": "the store is read-only",
    "507": "the store is full",
}
_TRANSIENT_CODES = {"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "NoSuchUpload"}
_TRANSIENT_STATUS = {"408", "409", "425", "429"}


def to_store_fault(error: BaseException) -> StoreFault:
    """Return what one of ERRORS means. The library's own messages quote requests, so only codes are taken from them."""
    text = str(error)
    status, code, system = (_search(pattern, text) for pattern in (_STATUS, _CODE, _OS_ERROR))
    known = next((each for each in (code, system, status) if each in _MESSAGES), None)
    message = _MESSAGES[known] if known is not None else _describe_unknown(error, status, code)
    if known is not None and known == code:
        message = f"{message} ({code})"
    own = code or status or system
    if code in {"NoSuchBucket", "ContainerNotFound"}:
        return StoreFault("refused", message, own)
    if isinstance(error, FileNotFoundError) and code != "NoSuchUpload":
        return StoreFault("missing", message, own)
    transient = code in _TRANSIENT_CODES or status in _TRANSIENT_STATUS
    refused = isinstance(error, _REFUSALS) or status.startswith("4") or system in {"13", "30"}
    return StoreFault("refused" if refused and not transient else "unavailable", message, own)


async def delete_objects(backend: "ObjectStore", keys: Iterable[str]) -> dict[str, StoreFault]:
    """Delete objects, each by itself, and return what went wrong, by key; a missing object counts as deleted.

    One that the store refuses to delete, because of a lock or a hold, hinders none of the others. (The error of a
    request for many objects names only one of them.)
    """
    places = asyncio.Semaphore(_CONCURRENT_DELETES)

    async def delete(key: str) -> StoreFault | None:
        async with places:
            try:
                await obstore.delete_async(backend, key)
            except ERRORS as error:
                fault = to_store_fault(error)
                return None if fault.kind == "missing" else fault
        return None

    unique = tuple(dict.fromkeys(keys))
    faults = await asyncio.gather(*map(delete, unique))
    return {key: fault for key, fault in zip(unique, faults, strict=True) if fault is not None}


def _search(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""


def _describe_unknown(error: BaseException, status: str, code: str) -> str:
    if status:
        return f"HTTP {status}, {code}" if code else f"HTTP {status}"
    if "tcp connect error" in str(error) or "dns error" in str(error):
        return "it cannot be reached"
    if "169.254.169.254" in str(error):
        return "no credentials are configured, and this machine has no role of its own"
    return type(error).__name__
