"""Device cookies: proof that a user has logged in from a browser before (OWASP, "Slow down online guessing attacks").

A cookie is signed with a key derived from the hash of the user's password, so that a new password invalidates the
cookies of all devices. It grants nothing but a count of login attempts of its own.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from job_api.service.attempts import PER_ACCOUNT
from job_api.store.identities import User
from job_api.store.throttle import AttemptLimit

DEVICE_LIFETIME = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Device:
    """A browser from which a user has logged in."""

    user_id: UUID
    number: str

    def limit(self) -> dict[str, AttemptLimit]:
        """Return the limit on the attempts of this device at its user's account."""
        return {f"device {self.user_id} {self.number}": PER_ACCOUNT}

    def to_cookie(self, user: User) -> str:
        """Return the value of the cookie."""
        return f"{self.user_id.hex}.{self.number}.{_sign(self, user)}"


def create_device(user: User) -> Device:
    """Return a new device of a user."""
    return Device(user.user_id, secrets.token_hex(16))


def recognise_device(cookie: str | None, user: User) -> Device | None:
    """Return the device whose cookie this is, or None if it is not one of the user's."""
    user_id, _, rest = (cookie or "").partition(".")
    number, _, signature = rest.partition(".")
    if user_id != user.user_id.hex or not number.isalnum():
        return None
    device = Device(user.user_id, number)
    return device if hmac.compare_digest(_sign(device, user).encode(), signature.encode()) else None


def _sign(device: Device, user: User) -> str:
    text = f"sluice device {device.user_id} {device.number}"
    return hmac.new(user.password_hash.encode(), text.encode(), hashlib.sha256).hexdigest()
