"""Who may do what (U2): the roles of operations, in one place."""

from typing import Annotated

from shared.auth import Identity
from shared.events.values import Role
from shared.http.identity import require_roles

READERS: tuple[Role, ...] = ("operator", "viewer")
WRITERS: tuple[Role, ...] = ("operator",)
ANYBODY: tuple[Role, ...] = ("operator", "downloader", "viewer")
ADMINS: tuple[Role, ...] = ("admin",)

Reader = Annotated[Identity, require_roles(*READERS)]
"""Sees jobs and certificates. Who may only fetch files (`downloader`) works with history and artifacts alone."""
Anybody = Annotated[Identity, require_roles(*ANYBODY)]
"""Has a role, whichever."""
Writer = Annotated[Identity, require_roles(*WRITERS)]
"""Makes and changes jobs and certificates."""
Admin = Annotated[Identity, require_roles(*ADMINS)]
"""Manages users and keys."""
