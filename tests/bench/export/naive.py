"""The obvious implementation: pages by OFFSET, rows as Python objects, zipfile, and the library's own envelope.

`python -m tests.bench.export.naive DSN CERTIFICATE FILE` prints rows, bytes of records and the highest resident size.
"""

import asyncio
import json
import resource
import sys
import zipfile
from datetime import datetime
from io import BytesIO
from pathlib import Path

import asyncpg
from cryptography import x509
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder, PKCS7Options

from exporter.source.columns import map_record_keys
from shared.record_columns import INTERACTION_COLUMNS
from tests.bench.export.table import TENANT

PAGE = 5_000


async def pack(dsn: str) -> tuple[int, int, bytes]:
    """Return rows, bytes of records and the zip archive of all interactions of the tenant."""
    keys = map_record_keys("interaction")
    query = (
        f"SELECT {', '.join(INTERACTION_COLUMNS)} FROM contact_history.interaction WHERE tenant_id = $1 "
        'ORDER BY id COLLATE "C" LIMIT $2 OFFSET $3'
    )
    connection = await asyncpg.connect(dsn, server_settings={"timezone": "UTC"})
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    rows = size = 0
    archived = BytesIO()
    with zipfile.ZipFile(archived, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("records.jsonl", "w") as member:
        while page := await connection.fetch(query, TENANT, PAGE, rows):
            for row in page:
                record = dict(zip(keys, row.values(), strict=True))
                size += member.write(json.dumps(record, default=datetime.isoformat).encode() + b"\n")
            rows += len(page)
    await connection.close()
    return rows, size, archived.getvalue()


def main(dsn: str, certificate: str, file: str) -> None:
    """Export, encrypt and write the file."""
    rows, size, content = asyncio.run(pack(dsn))
    recipient = x509.load_pem_x509_certificate(Path(certificate).read_bytes())
    envelope = PKCS7EnvelopeBuilder().set_data(content).add_recipient(recipient)
    encrypted = envelope.set_content_encryption_algorithm(AES256).encrypt(Encoding.DER, [PKCS7Options.Binary])
    Path(file).write_bytes(encrypted)
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(f"{rows} {size} {highest}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
