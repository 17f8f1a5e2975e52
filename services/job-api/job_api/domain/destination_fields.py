"""What the fields of a destination's address and credentials may hold."""

import base64
import binascii
import hashlib
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from job_api.domain.texts import find_text_fault
from shared.events.values import DestinationAddress, DestinationKind

MAX_PATH = 500
MAX_PORT = 65_535
DEFAULT_PORT = 22
ENCRYPTIONS = ("AES256", "aws:kms")
GOOGLE_TOKEN_ADDRESS = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_ROLE = re.compile(r"arn:[a-z0-9-]+:iam:[a-z0-9-]*:[0-9]*:role/[\w+=,.@/-]{1,512}", re.ASCII)
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"\$root|[a-z0-9](?:-?[a-z0-9]){2,62}")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_MAX_HOST = 253
_HOST_KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]{40,2000}={0,2})")
_TOKEN = re.compile(r"[\x21-\x7e]+")

HELP: Mapping[str, str] = {
    "bucket": "the bucket's name: 3 to 222 lower-case letters, digits, dots, hyphens and underscores",
    "container": "the container's name: 3 to 63 lower-case letters, digits and single hyphens",
    "account": "the storage account's name: 3 to 24 lower-case letters and digits",
    "region": "the bucket's region, as in eu-central-1; us-east-1 where the store has none",
    "prefix": f"what the names of all objects begin with: at most {MAX_PATH} characters, parts separated by /, no part "
    "empty or consisting of dots",
    "path": f"the folder on the server: at most {MAX_PATH} characters, parts separated by /, no part empty or "
    "consisting of dots; with / in front it is absolute",
    "endpoint": "the store's address, as in https://objects.example.com: no path, user name or query",
    "role_arn": "the role's ARN, as in arn:aws:iam::123456789012:role/sluice",
    "encryption": f"how the store encrypts: {' or '.join(ENCRYPTIONS)}, or omit it",
    "kms_key": "the id or ARN of the key: at most 2,048 printable characters",
    "virtual_host": "true or false",
    "host": "the server's name or address, without port; international names in their ASCII form (xn--)",
    "port": f"from 1 to {MAX_PORT:,}",
    "user_name": "the user name: 1 to 255 printable characters",
    "host_key": "the server's public key, as in known_hosts: ssh-ed25519, ssh-rsa or ecdsa-sha2-nistp..., a space, "
    "base64",
}
"""What each field of an address holds, in words."""


def get_help(kind: DestinationKind, name: str) -> str:
    """Return what a field of an address holds, in words."""
    return HELP[_get_rule(kind, name)]


def is_acceptable(kind: DestinationKind, name: str, value: str | int | bool) -> bool:
    """Return whether a field of an address may hold a value."""
    if name == "port":
        return isinstance(value, int) and 1 <= value <= MAX_PORT
    return value is True if name == "virtual_host" else isinstance(value, str) and _CHECKS[_get_rule(kind, name)](value)


def normalize(name: str, value: Any) -> Any:
    """Return a value in the form in which it is stored: folders and addresses without a slash at their end."""
    if isinstance(value, str) and name in {"prefix", "path", "endpoint"}:
        return value.rstrip("/") or value[:1]
    return value


def find_host(address: DestinationAddress) -> str | None:
    """Return the host that an acceptable address names, or None if it is the provider's own."""
    return urlsplit(address.endpoint).hostname if address.endpoint else address.host


def _get_rule(kind: DestinationKind, name: str) -> str:
    return "container" if (kind, name) == ("azure", "bucket") else name


def is_numeric_host(host: str) -> bool:
    """Return whether an acceptable host is an IP address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def find_credential_fault(name: str, value: str) -> str | None:
    """Return what is wrong with one of the credentials, without repeating it; None if nothing is."""
    match name:
        case "service_account_key":
            return _find_service_account_fault(value)
        case "private_key":
            plausible = value.lstrip().startswith("-----BEGIN ") and "PRIVATE KEY-----" in value
            return None if plausible else "paste the private key, from -----BEGIN to its END line"
        case "account_key":
            return None if _is_base64(value) else "is no account key, which is base64"
        case "password" | "passphrase":
            return None if "\0" not in value else "has a character that no password can have"
        case _:
            return None if _TOKEN.fullmatch(value) else "has a space, a line break or a character outside ASCII"


def compute_fingerprint(host_key: str) -> str:
    """Return the fingerprint of an acceptable host key, as ssh-keygen shows it: SHA256 and base64."""
    digest = hashlib.sha256(base64.b64decode(host_key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _find_service_account_fault(text: str) -> str | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "is not the JSON file of a service account's key"
    names = ("client_email", "private_key")
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in names):
        return "is not the JSON file of a service account's key"
    if found.get("type") != "service_account":
        return "is of another type than service_account"
    if found.get("token_uri", GOOGLE_TOKEN_ADDRESS) != GOOGLE_TOKEN_ADDRESS:
        return f"names another token_uri than {GOOGLE_TOKEN_ADDRESS}"
    return None


def _is_path(text: str) -> bool:
    parts = text.rstrip("/").split("/")
    return len(text) <= MAX_PATH and all(_is_part(each) for each in parts)


def _is_folder(text: str) -> bool:
    return text == "/" or _is_path(text.removeprefix("/"))


def _is_part(text: str) -> bool:
    return text.strip(". ") != "" and "\\" not in text and find_text_fault(text) is None


def _is_host(text: str) -> bool:
    if is_numeric_host(text):
        return True
    labels = text.removesuffix(".").split(".")
    # As for browsers, a name whose last part is a number is an address in disguise: decimal, octal, hexadecimal.
    is_number = _NUMBER.fullmatch(labels[-1]) is not None
    return len(text) <= _MAX_HOST and not is_number and all(_LABEL.fullmatch(each) for each in labels)


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    plain = not (parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"))
    whole = text.rstrip("/") == f"{parts.scheme}://{parts.netloc}"
    return parts.scheme in {"http", "https"} and host is not None and _is_host(host) and plain and whole


def _is_host_key(text: str) -> bool:
    found = _HOST_KEY.fullmatch(text)
    if found is None or not _is_base64(found[2]):
        return False
    blob, name = base64.b64decode(found[2]), found[1].encode()
    return blob.startswith(len(name).to_bytes(4, "big") + name)


def _is_base64(text: str) -> bool:
    try:
        return base64.b64decode(text, validate=True) != b""
    except (binascii.Error, ValueError):
        return False


def _is_printable(maximum: int) -> Callable[[str], bool]:
    return lambda text: 1 <= len(text) <= maximum and find_text_fault(text) is None


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


_CHECKS: Mapping[str, Callable[[str], bool]] = {
    "bucket": _matches(_BUCKET),
    "container": _matches(_CONTAINER),
    "account": _matches(_ACCOUNT),
    "region": _matches(_REGION),
    "prefix": _is_path,
    "path": _is_folder,
    "endpoint": _is_endpoint,
    "role_arn": _matches(_ROLE),
    "encryption": lambda text: text in ENCRYPTIONS,
    "kms_key": _is_printable(2_048),
    "host": _is_host,
    "user_name": _is_printable(255),
    "host_key": _is_host_key,
}
