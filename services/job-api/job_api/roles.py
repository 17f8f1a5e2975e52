"""The roles that operations require (rule U2), in one place."""

from typing import Annotated, Literal

from shared.auth import Identity
from shared.events.values import Role
from shared.http.identity import require_roles

READERS: tuple[Role, ...] = ("operator", "viewer")
OPERATORS: tuple[Role, ...] = ("operator",)
ANY_ROLE: tuple[Role, ...] = ("operator", "downloader", "viewer")
ADMINS: tuple[Role, ...] = ("admin",)
RoleFilter = Role | Literal["none"]
"""What lists are filtered by: a role, or having none."""

Reader = Annotated[Identity, require_roles(*READERS)]
"""May see jobs and certificates. A `downloader`, who only fetches files, uses history and artifacts alone."""
AnyRole = Annotated[Identity, require_roles(*ANY_ROLE)]
"""Has any role."""
Operator = Annotated[Identity, require_roles(*OPERATORS)]
"""May create and change jobs and certificates."""
Admin = Annotated[Identity, require_roles(*ADMINS)]
"""May manage users, keys and the tenant."""
