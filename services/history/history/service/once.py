"""Requests that may be sent again: the same answer, though what it holds is not kept (I3)."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Once:
    """A request's Idempotency-Key, and the token of who sent it."""

    key: str
    token: str = field(repr=False)

    def secret(self, artifact_id: UUID) -> str:
        """Return the secret of this request's link: the same each time, and known to the bearer of the token alone.

        So the answer can be given again while only a hash of the secret is stored.
        """
        text = f"link\n{artifact_id}\n{self.key}".encode()
        return base64.urlsafe_b64encode(hmac.digest(self.token.encode(), text, hashlib.sha256)).decode().rstrip("=")
