"""Which number each tenant's rows bear in the source, as published on `sluice.jobs`; runs are compared with it.

A consumer group of its own follows the topic, so that it reads all jobs once, also those that were published before
exporters recorded their numbers.
"""

from collections.abc import Sequence

from exporter.store.statements import SQL
from shared.codec import Message
from shared.errors import MessageRejected
from shared.events import JobSaved
from shared.kafka import Handler
from shared.postgres import Pool, transaction


def create_source_number_handler(pool: Pool) -> Handler:
    """Return the handler of `sluice.jobs` that records numbers; a tenant's first number stays.

    The handler raises MessageRejected for a job whose number is another tenant's, or another than its tenant's.
    """

    async def handle(messages: Sequence[Message]) -> None:
        saved = [message.event for message in messages if isinstance(message.event, JobSaved)]
        pairs = sorted({(event.tenant_id, event.settings.source_tenant) for event in saved})
        if not pairs:
            return
        columns = [tenant for tenant, _ in pairs], [number for _, number in pairs]
        async with transaction(pool) as database:
            await database.execute(SQL["save_source_numbers"], *columns)
            clash = await database.fetchrow(SQL["find_source_number_clash"], *columns)
            if clash is not None:
                raise MessageRejected(
                    f"a job of tenant {clash['tenant_id']} has the number {clash['source_tenant']} in the source, "
                    "which is another tenant's, or not that of this tenant's earlier jobs"
                )

    return handle
