"""Prints a line of JSON for every run that has succeeded: once each, and after a restart where it left off.

Needs Python 3.11 and aiokafka (`pip install aiokafka`). Settings are environment variables:

    KAFKA_BOOTSTRAP      a broker's address, host:port
    KAFKA_GROUP          the consumer group, with the prefix that the ACLs allow
    KAFKA_USERNAME       login (SASL/SCRAM-SHA-512 over TLS); without it, neither login nor TLS
    KAFKA_PASSWORD
    KAFKA_CA_FILE        certificates to trust (PEM); default: those of the system
    STATE                SQLite file with the runs already seen; default: runs.sqlite
"""

import asyncio
import json
import os
import signal
import sqlite3
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

TOPIC = "sluice.runs"
EVENT = "sluice.run.succeeded"
VERSIONS = {1, 2}


def main() -> None:
    """Consume until SIGINT or SIGTERM."""
    with closing(sqlite3.connect(os.environ.get("STATE", "runs.sqlite"))) as state:
        state.execute("CREATE TABLE IF NOT EXISTS run (run_id TEXT PRIMARY KEY)")
        asyncio.run(consume(state, os.environ))


async def consume(state: sqlite3.Connection, environment: Mapping[str, str]) -> None:
    """Handle batches of messages. A batch's offsets are committed after its effect, so nothing is lost in a crash."""
    stopping = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stopping.set)
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=environment["KAFKA_BOOTSTRAP"],
        group_id=environment["KAFKA_GROUP"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **login(environment),
    )
    await consumer.start()
    try:
        while not stopping.is_set():
            batches = await consumer.getmany(timeout_ms=500)
            events = [event for records in batches.values() for event in successes(records)]
            with state:
                for run in new_runs(state, events):
                    print(json.dumps(run), flush=True)
            if batches:
                await consumer.commit()
    finally:
        await consumer.stop()


def login(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return aiokafka's arguments for TLS and login."""
    if "KAFKA_USERNAME" not in environment:
        return {}
    return {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": environment["KAFKA_USERNAME"],
        "sasl_plain_password": environment["KAFKA_PASSWORD"],
        "ssl_context": ssl.create_default_context(cafile=environment.get("KAFKA_CA_FILE")),
    }


def successes(records: list[ConsumerRecord]) -> Iterator[dict[str, Any]]:
    """Yield the events of runs that succeeded; other types, also those of later releases, are ignored.

    Raises SystemExit at a version of the event that this program does not know: its offset is not committed, so nothing
    is missed when an upgraded program starts.
    """
    for record in records:
        headers = {name: value.decode() for name, value in record.headers}
        name, _, version = headers["ce_type"].rpartition(".v")
        if name != EVENT:
            continue
        if int(version) not in VERSIONS:
            raise SystemExit(f"{headers['ce_type']} is not known here: upgrade this program")
        yield json.loads(record.value)


def new_runs(state: sqlite3.Connection, events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each run that was not seen before. Messages may be delivered again, and a run succeeds only once."""
    for event in events:
        statement = "INSERT INTO run (run_id) VALUES (?) ON CONFLICT DO NOTHING"
        if state.execute(statement, (event["run_id"],)).rowcount:
            yield {
                "run": event["run_id"],
                "job": event["job_id"],
                "title": event.get("title"),  # from version 2 on, as are slot and cause
                "slot": event.get("slot"),
                "rows": event["rows"],
                "files": [file["name"] for file in event["files"]],
            }


if __name__ == "__main__":
    main()
