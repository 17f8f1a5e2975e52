"""The query parameters of the list of API keys."""

from typing import ClassVar

from pydantic import Field

from job_api.roles import RoleFilter
from job_api.store.identities import KeyState
from job_api.store.lists import KEYS
from shared.http.lists import ListQuery, sort_field
from shared.http.values import Instant, SearchText


class KeyQuery(ListQuery):
    """Which API keys to list, and in which order."""

    rows: ClassVar = KEYS

    sort: str = sort_field(KEYS)
    search: SearchText | None = Field(None, description="contained in the name, ignoring case")
    state: KeyState | None = Field(None, description="whether the key is valid, expired or revoked")
    role: RoleFilter | None = Field(None, description="has this role; `none`: has no role left")
    created_from: Instant | None = Field(None, description="created at this instant or later")
    created_until: Instant | None = Field(None, description="created before this instant")
    expires_from: Instant | None = Field(None, description="expires at this instant or later, or never")
    expires_until: Instant | None = Field(None, description="expires before this instant")
    revoked_from: Instant | None = Field(None, description="revoked at this instant or later")
    revoked_until: Instant | None = Field(None, description="revoked before this instant")
