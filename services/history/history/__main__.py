"""`python -m history recorder | estimates | api | rebuild | migrate`."""

import sys

from history.settings import Settings
from shared.command import run_command
from shared.lifecycle import run


async def run_recorder(settings: Settings) -> None:
    """Write the run log from the events."""
    from history.app import open_recorder  # `migrate` needs none of this

    async with open_recorder(settings) as process:
        await run(process.loops, app=process.app, health=process.health, settings=settings)


async def run_estimates(settings: Settings) -> None:
    """Estimate when running exports will end."""
    from history.app import open_estimates  # `migrate` needs none of this

    async with open_estimates(settings) as process:
        await run(process.loops, app=process.app, health=process.health, settings=settings)


async def run_api(settings: Settings) -> None:
    """Serve the run log, the files and live updates over HTTP."""
    from history.app import open_api  # `migrate` needs none of this

    async with open_api(settings) as process:
        await run(process.loops, app=process.app, health=process.health, settings=settings)


async def run_rebuild(settings: Settings) -> None:
    """Rebuild the run log from the topics, and replace the current one."""
    from history import app  # `migrate` needs none of this

    result = await app.rebuild(settings)
    sys.stdout.write(f"rebuilt {result.runs} runs from {result.events} events in {result.seconds:.1f} s\n")


if __name__ == "__main__":
    run_command(
        "history",
        description=__doc__,
        settings_class=Settings,
        processes={"recorder": run_recorder, "estimates": run_estimates, "api": run_api},
        tasks={"rebuild": run_rebuild},
    )
