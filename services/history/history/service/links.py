"""Links: short-lived permissions to download a file without a login (rule A3)."""

from urllib.parse import quote
from uuid import UUID

from history.errors import LinkInvalid
from history.service.downloads import DownloadService, StoredFile
from history.store.links import LINK_LIFETIME, LinkStore
from history.store.unit_of_work import UnitOfWork
from history.views.artifacts import Link
from shared.auth import Identity, hash_secret
from shared.clock import Clock, SystemClock

LINK_PATH = "/api/v1/artifacts/links/"


class LinkService:
    """Creates and follows links. Every method raises PostgresUnavailable or StoreUnavailable."""

    def __init__(self, store: LinkStore, downloads: DownloadService, clock: Clock | None = None) -> None:
        self._store = store
        self._downloads = downloads
        self._clock = clock or SystemClock()

    async def build_path(self, identity: Identity, artifact_id: UUID, secret: str) -> str:
        """Return the path of a link to a file. Raises ArtifactNotFound.

        It ends with the file's name, under which programs save what they download by an address.
        """
        return f"{LINK_PATH}{secret}/{quote(await self._downloads.get_name(identity, artifact_id))}"

    async def create(self, work: UnitOfWork, artifact_id: UUID, secret: str) -> Link:
        """Create a link to a file; only a hash of its secret is stored. Raises ArtifactNotFound or ArtifactGone."""
        file = await self._downloads.open(work.identity, artifact_id)
        link = Link(path=f"{LINK_PATH}{secret}/{quote(file.name)}", expires_at=work.at + LINK_LIFETIME)
        await self._store.add(
            work.connection,
            work.identity,
            artifact_id,
            secret_hash=hash_secret(secret),
            expires_at=link.expires_at,
        )
        work.audit("artifact.link", [artifact_id], after={"expires_at": link.expires_at.isoformat()})
        return link

    async def open(self, secret: str, name: str) -> tuple[StoredFile, Identity]:
        """Return the file of a link that ends with its name, and the identity of its creator, without roles.

        Raises LinkInvalid, ArtifactGone, FileMissing or FileDamaged.
        """
        row = await self._store.find(hash_secret(secret), self._clock.now())
        if row is None:
            raise LinkInvalid
        creator = Identity(row["user_id"], row["tenant_id"], row["user_id"], row["name"], frozenset())
        file = await self._downloads.open(creator, row["artifact_id"])
        if file.name != name:
            raise LinkInvalid
        return file, creator
