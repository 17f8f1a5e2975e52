"""Store the key by which names of tenants and users are compared; it is computed by `job_api.domain.names`."""

from collections import defaultdict
from collections.abc import Iterable

from job_api.domain.names import fold_name
from shared.postgres import Connection, PostgresMisconfigured

__depends__ = {"0011_job_api_instants"}


async def apply(db: Connection) -> None:
    """Add the keys, stop where two names have one key, and replace the indexes over lower(name)."""
    await db.execute("SELECT set_config('job_api.scope', 'all', true)")
    await db.execute("ALTER TABLE tenant ADD COLUMN name_key text; ALTER TABLE app_user ADD COLUMN name_key text")
    tenants = await db.fetch("SELECT tenant_id, name FROM tenant")
    users = await db.fetch("SELECT user_id, tenant_id, name, issuer FROM app_user")
    clashes = _find_clashes((fold_name(row["name"]), f"{row['name']} ({row['tenant_id']})") for row in tenants)
    clashes += _find_clashes(
        (f"{row['tenant_id']} {fold_name(row['name'])}", f"{row['name']} ({row['user_id']})")
        for row in users
        if row["issuer"] is None
    )
    if clashes:
        raise PostgresMisconfigured(
            f"the migration stopped at names that differ only in case or form of writing: {'; '.join(clashes)}. Rename "
            "all but one of each (column name of job_api.tenant or job_api.app_user), then migrate again"
        )
    await db.executemany(
        "UPDATE tenant SET name_key = $2 WHERE tenant_id = $1",
        [(row["tenant_id"], fold_name(row["name"])) for row in tenants],
    )
    await db.executemany(
        "UPDATE app_user SET name_key = $2 WHERE user_id = $1",
        [(row["user_id"], fold_name(row["name"])) for row in users],
    )
    await db.execute("""
        ALTER TABLE tenant ALTER COLUMN name_key SET NOT NULL;
        ALTER TABLE app_user ALTER COLUMN name_key SET NOT NULL;
        DROP INDEX tenant_name, app_user_name, app_user_any_tenant;
        CREATE UNIQUE INDEX tenant_name ON tenant (name_key);
        CREATE UNIQUE INDEX app_user_name ON app_user (tenant_id, name_key) WHERE issuer IS NULL;
        CREATE INDEX app_user_any_tenant ON app_user (name_key) WHERE issuer IS NULL;
    """)


async def rollback(db: Connection) -> None:
    """Compare names by lower(name) again."""
    await db.execute("""
        DROP INDEX tenant_name, app_user_name, app_user_any_tenant;
        CREATE UNIQUE INDEX tenant_name ON tenant (lower(name));
        CREATE UNIQUE INDEX app_user_name ON app_user (tenant_id, lower(name)) WHERE issuer IS NULL;
        CREATE INDEX app_user_any_tenant ON app_user (lower(name));
        ALTER TABLE tenant DROP COLUMN name_key;
        ALTER TABLE app_user DROP COLUMN name_key;
    """)


def _find_clashes(names: Iterable[tuple[str, str]]) -> list[str]:
    """Return the names that share a key, given as (key, name to show)."""
    shown = defaultdict(list)
    for key, name in names:
        shown[key].append(name)
    return [", ".join(each) for each in shown.values() if len(each) > 1]
