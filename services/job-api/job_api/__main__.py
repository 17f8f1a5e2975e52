"""`python -m job_api api | migrate | bootstrap | republish`."""

import argparse
import asyncio
import json
import sys

from job_api.settings import Settings
from shared.clock import SystemClock
from shared.command import run_command
from shared.errors import SluiceError
from shared.lifecycle import run
from shared.postgres import require_schema


async def serve(settings: Settings) -> None:
    """Serve the API and the pages, and follow triggers and runs, until stopped."""
    from job_api.app import open_process  # migrating needs none of this

    async with open_process(settings) as process:
        await run(process.loops, app=process.app, health=process.health, settings=settings)


def bootstrap(arguments: list[str]) -> None:
    """Create the first tenant and its administrator, and print the secrets for its owner, once, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m job_api bootstrap", description=bootstrap.__doc__)
    parser.add_argument("--tenant", required=True, help="name of the tenant")
    parser.add_argument("--source-tenant", required=True, type=int, help="the number that its rows bear in the source")
    parser.add_argument("--user", required=True, help="name of its first administrator")
    options = parser.parse_args(arguments)
    try:
        result = asyncio.run(_bootstrap(Settings.load(), options))
    except SluiceError as error:
        sys.exit(f"{parser.prog}: {error}")
    sys.stdout.write(json.dumps(result) + "\n")


async def _bootstrap(settings: Settings, options: argparse.Namespace) -> dict[str, object]:
    from job_api.service.bootstrap import bootstrap_tenant
    from job_api.store import Database
    from job_api.store.database import Pools

    await require_schema(settings.postgres, "job_api")
    dsns = settings.postgres, settings.postgres_system
    async with Pools.open(*dsns, size=2, name="job-api bootstrap") as pools:
        return await bootstrap_tenant(
            Database(pools),
            SystemClock(),
            tenant=options.tenant,
            source_tenant=options.source_tenant,
            user=options.user,
        )


def republish(arguments: list[str]) -> None:
    """Publish again everything that the other services need, and print the number of events by kind, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m job_api republish", description=republish.__doc__)
    parser.parse_args(arguments)
    try:
        counts = asyncio.run(_republish(Settings.load()))
    except SluiceError as error:
        sys.exit(f"{parser.prog}: {error}")
    sys.stdout.write(json.dumps(counts) + "\n")


async def _republish(settings: Settings) -> dict[str, int]:
    from job_api.republishing import republish_all
    from job_api.store import Database
    from job_api.store.database import Pools

    await require_schema(settings.postgres, "job_api")
    dsns = settings.postgres, settings.postgres_system
    async with Pools.open(*dsns, size=2, name="job-api republish") as pools:
        return await republish_all(Database(pools), SystemClock())


COMMANDS = {"bootstrap": bootstrap, "republish": republish}
"""The commands that an operator runs once."""

if __name__ == "__main__":
    run_command("job_api", description=__doc__, settings_class=Settings, processes={"api": serve}, commands=COMMANDS)
