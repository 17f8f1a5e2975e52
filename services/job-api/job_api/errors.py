"""The job API's domain errors: each carries its public type, a message and, for input, the fields at fault."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import SluiceError


@dataclass(frozen=True, slots=True)
class FieldFault:
    """A field that breaks a rule: its dotted path, and what is wrong with it and what would be accepted."""

    field: str
    message: str


class InvalidInput(SluiceError):
    """Input that breaks rules; carries every fault found, not only the first."""

    def __init__(self, *faults: FieldFault) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = faults


class NotFound(SluiceError):
    """The object does not exist or belongs to another tenant; callers cannot see which (rule U3)."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class TenantRefused(SluiceError):
    """A tenant cannot be created as the operator asks; the message says why."""


class OperationRefused(SluiceError):
    """A well-formed request that a rule forbids in the object's present state."""

    def __init__(self, kind: str, detail: str, *, extra: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.extra = dict(extra or {})


class LostUpdate(SluiceError):
    """The object has changed since the caller read it."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the current version is {current}")
        self.current = current


class TooManyAttempts(SluiceError):
    """The limit on login attempts is exceeded; the next attempt is accepted after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"retry in {retry_after} s")
        self.retry_after = retry_after


class LoginFailed(SluiceError):
    """User name, password or tenant do not match; which of them is not disclosed."""
