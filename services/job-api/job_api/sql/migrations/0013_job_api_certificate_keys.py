"""Allow certificates with EC keys, and refuse two active ones with the same issuer and serial number."""

from shared.certificates import CertificateRejected, identify_certificate
from shared.postgres import Connection

__depends__ = {"0012_job_api_names"}


async def apply(db: Connection) -> None:
    """Add the kind of the key, and the issuer and serial number as `shared.certificates` compares them.

    Of active certificates that are the same in these, the oldest has them; the exporter names such certificates when a
    run would need both.
    """
    await db.execute("SELECT set_config('job_api.scope', 'all', true)")
    await db.execute("""
        ALTER TABLE certificate ADD COLUMN key_type text NOT NULL DEFAULT 'rsa', ADD COLUMN issuer_and_serial text;
        ALTER TABLE certificate DROP CONSTRAINT certificate_key_bits_check;
        ALTER TABLE certificate ADD CONSTRAINT certificate_key CHECK (
            CASE key_type WHEN 'rsa' THEN key_bits >= 2048 WHEN 'ec' THEN key_bits IN (256, 384, 521) ELSE false END
        );
    """)
    taken = set()
    rows = await db.fetch(
        "SELECT certificate_id, tenant_id, state, pem FROM certificate ORDER BY created_at, certificate_id"
    )
    for row in rows:
        try:
            identity = identify_certificate(row["pem"])
        except CertificateRejected:
            continue
        if row["state"] == "active" and (row["tenant_id"], identity) in taken:
            continue
        if row["state"] == "active":
            taken.add((row["tenant_id"], identity))
        await db.execute(
            "UPDATE certificate SET issuer_and_serial = $2 WHERE certificate_id = $1", row["certificate_id"], identity
        )
    await db.execute(
        "CREATE UNIQUE INDEX certificate_active_identity ON certificate (tenant_id, issuer_and_serial) "
        "WHERE state = 'active'"
    )


async def rollback(db: Connection) -> None:
    """Forget both; impossible while there is a certificate with an EC key."""
    await db.execute("""
        DROP INDEX certificate_active_identity;
        ALTER TABLE certificate DROP CONSTRAINT certificate_key;
        ALTER TABLE certificate ADD CONSTRAINT certificate_key_bits_check CHECK (key_bits >= 2048);
        ALTER TABLE certificate DROP COLUMN key_type, DROP COLUMN issuer_and_serial;
    """)
