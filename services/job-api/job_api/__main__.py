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
from shared.postgres import open_pool, require_schema


async def serve(settings: Settings) -> None:
    """Serve the API and the pages, and follow what happens to runs, until told to stop."""
    from job_api.app import running  # migrating needs none of this

    async with running(settings) as process:
        await run(process.loops, app=process.app, health=process.health, settings=settings)


def bootstrap(arguments: list[str]) -> None:
    """Make the first tenant and its administrator, and print what its owner must know, once, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m job_api bootstrap", description=bootstrap.__doc__)
    parser.add_argument("--tenant", required=True, help="name of the tenant")
    parser.add_argument("--source-tenant", required=True, type=int, help="the number that its rows bear in the source")
    parser.add_argument("--user", required=True, help="name of its first administrator")
    chosen = parser.parse_args(arguments)
    try:
        made = asyncio.run(_bootstrap(Settings.load(), chosen.tenant, chosen.source_tenant, chosen.user))
    except SluiceError as error:
        sys.exit(f"{parser.prog}: {error}")
    sys.stdout.write(json.dumps(made) + "\n")


async def _bootstrap(settings: Settings, tenant: str, source_tenant: int, user: str) -> dict[str, object]:
    from job_api.passwords import Passwords
    from job_api.service import Access
    from job_api.store import Database

    await require_schema(settings.postgres, "job_api")
    async with open_pool(settings.postgres, size=2, name="job-api bootstrap") as pool:
        access = Access(Database(pool), SystemClock(), Passwords())
        return await access.bootstrap(tenant=tenant, source_tenant=source_tenant, user=user)


def republish(arguments: list[str]) -> None:
    """Tell the other services everything that they must know, anew, and print how much that was, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m job_api republish", description=republish.__doc__)
    parser.parse_args(arguments)
    try:
        told = asyncio.run(_republish(Settings.load()))
    except SluiceError as error:
        sys.exit(f"{parser.prog}: {error}")
    sys.stdout.write(json.dumps(told) + "\n")


async def _republish(settings: Settings) -> dict[str, int]:
    from job_api.republishing import republish_all
    from job_api.store import Database

    await require_schema(settings.postgres, "job_api")
    async with open_pool(settings.postgres, size=2, name="job-api republish") as pool:
        return await republish_all(Database(pool), SystemClock())


BY_HAND = {"bootstrap": bootstrap, "republish": republish}

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in BY_HAND:
        BY_HAND[sys.argv[1]](sys.argv[2:])
    else:
        run_command("job_api", description=__doc__, settings_class=Settings, processes={"api": serve})
