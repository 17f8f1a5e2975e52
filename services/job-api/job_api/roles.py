"""The roles that operations require (rule U2), in one place."""

from typing import Annotated, Literal

from shared.auth import Identity
from shared.events.values import Role
from shared.http.identity import require_roles

READERS: tuple[Role, ...] = ("operator", "viewer")
WRITERS: tuple[Role, ...] = ("operator",)
ANYBODY: tuple[Role, ...] = ("operator", "downloader", "viewer")
ADMINS: tuple[Role, ...] = ("admin",)
RoleFilter = Role | Literal["none"]
"""What lists are filtered by: a role, or having none."""

Reader = Annotated[Identity, require_roles(*READERS)]
"""May see jobs and certificates. A `downloader`, who only fetches files, uses history and artifacts alone."""
Anybody = Annotated[Identity, require_roles(*ANYBODY)]
"""Has any role."""
Writer = Annotated[Identity, require_roles(*WRITERS)]
"""May create and change jobs and certificates."""
Admin = Annotated[Identity, require_roles(*ADMINS)]
"""May manage users, keys and the tenant."""
