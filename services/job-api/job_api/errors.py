"""What the job API refuses: each error carries its public type, its words and, for input, the fields at fault."""

from dataclasses import dataclass

from shared.errors import SluiceError


@dataclass(frozen=True, slots=True)
class Fault:
    """One field that is not acceptable: a dotted path, and words a person can act on."""

    field: str
    message: str


class Invalid(SluiceError):
    """Input that breaks rules; every fault that was found, not only the first."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = faults


class NotFound(SluiceError):
    """There is no such thing, or it is another tenant's: nobody can tell which."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Refused(SluiceError):
    """A command that rules forbid in this state, though the request is well formed."""

    def __init__(self, kind: str, detail: str, *, status: int = 409, extra: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.status = status
        self.extra = extra or {}


class LostUpdate(SluiceError):
    """Somebody else changed it since the caller looked."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the current version is {current}")
        self.current = current


class IdempotencyConflict(SluiceError):
    """The Idempotency-Key was used before, with another body."""


class TooManyAttempts(SluiceError):
    """Somebody tried too often; the next attempt is taken after so many seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"again in {retry_after} s")
        self.retry_after = retry_after


class LoginFailed(SluiceError):
    """User name, password or tenant do not fit; which of them is not said."""
