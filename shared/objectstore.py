"""Where finished files are kept: opening the store that the settings name, faults in words, links to objects."""

import re
from collections.abc import Mapping
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
"""What calls of the library raise."""

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
# Without a longest pause of its own the library waits up to 15 s; its number of tries alone would be used up in 2 s.
_BACKOFF = {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2}
# A download may take hours, so what ends a request is silence.
_LIMITS = {"connect_timeout": "5 s", "read_timeout": "60 s", "timeout": "1 day"}


def open_backend(
    url: str, options: Options = _NONE, *, patience: timedelta = timedelta(minutes=1), timeout: str | None = None
) -> "ObjectStore":
    """Open the store of a URL: `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.

    `options` are the library's: for S3 `access_key_id`, `secret_access_key`, `region`, `endpoint`; for Google
    `service_account_key` or `service_account_path`; for Azure `account_name` and `account_key`; for all `allow_http`
    ("true"), `root_certificate` (PEM), `proxy_url`, `timeout` ("30 s") and the like. What they leave out is taken from
    the machine's own role, or from the cloud's usual environment variables. A failing request is tried again for
    `patience`. Raises InvalidSettings, which repeats no value, for that may be a secret.
    """
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return MemoryStore()
    if parts.scheme == "file":
        return _folder(url)
    connection: dict[str, Any] = _LIMITS | ({"timeout": timeout} if timeout else {})
    connection |= {name: _flag(name, text) for name, text in options.items() if name in _CONNECTION}
    config: Any = {name: text for name, text in options.items() if name not in _CONNECTION}
    retries: Any = {"max_retries": 1000, "retry_timeout": patience, "backoff": _BACKOFF}
    from_any: Any = from_url  # whose overloads know one cloud at a time
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


def _folder(url: str) -> LocalStore:
    parts = urlsplit(url)
    if parts.netloc or not parts.path:
        raise InvalidSettings("the store's URL must be file:///absolute/folder")
    try:
        return LocalStore(Path(unquote(parts.path)), mkdir=True)
    except ERRORS as error:
        raise InvalidSettings(f"the store's folder cannot be used: {to_store_fault(error).words}") from None


def _flag(name: str, text: str) -> str | bool:
    if name not in _FLAGS:
        return text
    if text not in {"true", "false"}:
        raise InvalidSettings(f"the store's option {name} must be true or false")
    return text == "true"


def link(backend: "ObjectStore", key: str, *, expires_in: timedelta) -> str | None:
    """Return an address that anybody can read the object from until it expires; None where the store has none (a
    folder). Raises one of ERRORS.
    """
    if isinstance(backend, S3Store | GCSStore | AzureStore):
        return obstore.sign(backend, "GET", key, expires_in)
    return None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, in words that quote nothing, and whether there is no such object, no right, or no answer."""

    kind: Literal["missing", "refused", "unavailable"]
    words: str


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
_WORDS = {
    "NoSuchBucket": "there is no such bucket",
    "ContainerNotFound": "there is no such container",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "InvalidAccessKeyId": "it does not know the access key",
    "AccessDenied": "these credentials may not do this",
    "RequestTimeTooSkewed": "this machine's clock and the store's differ too much",
    "13": "this process has no right to do this",
    "28": "it has no room left",
    "30": "it can be read only",
    "507": "it has no room left",
}
_PASSING_CODES = {"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "NoSuchUpload"}
_PASSING_STATUS = {"408", "409", "425", "429"}


def to_store_fault(error: BaseException) -> Fault:
    """Return what one of ERRORS means. The library's own words quote requests, so only codes are taken from them."""
    text = str(error)
    status, code, system = (_found(pattern, text) for pattern in (_STATUS, _CODE, _OS_ERROR))
    known = next((each for each in (code, system, status) if each in _WORDS), None)
    words = _WORDS[known] if known is not None else _unnamed(error, status, code)
    if known is not None and known == code:
        words = f"{words} ({code})"
    if code in {"NoSuchBucket", "ContainerNotFound"}:
        return Fault("refused", words)
    if isinstance(error, FileNotFoundError) and code != "NoSuchUpload":
        return Fault("missing", words)
    passing = code in _PASSING_CODES or status in _PASSING_STATUS
    refused = isinstance(error, _REFUSALS) or status.startswith("4") or system in {"13", "30"}
    return Fault("refused" if refused and not passing else "unavailable", words)


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""


def _unnamed(error: BaseException, status: str, code: str) -> str:
    if status:
        return f"HTTP {status}, {code}" if code else f"HTTP {status}"
    if "tcp connect error" in str(error) or "dns error" in str(error):
        return "it cannot be reached"
    if "169.254.169.254" in str(error):
        return "no credentials are given, and this machine has no role of its own"
    return type(error).__name__
