"""The query parameters of the list of users."""

from typing import ClassVar

from pydantic import Field

from job_api.roles import RoleFilter
from job_api.store.lists import USERS
from shared.http.lists import ListQuery, sort_field
from shared.http.values import Instant, SearchText


class UserQuery(ListQuery):
    """Which users to list, and in which order."""

    rows: ClassVar = USERS

    sort: str = sort_field(USERS)
    search: SearchText | None = Field(None, description="contained in the name, ignoring case")
    role: RoleFilter | None = Field(None, description="has this role; `none`: has no role")
    disabled: bool | None = Field(None, description="whether the user is disabled")
    issuer: SearchText | None = Field(None, description="contained in the identity provider's address, ignoring case")
    created_from: Instant | None = Field(None, description="created at this instant or later")
    created_until: Instant | None = Field(None, description="created before this instant")
