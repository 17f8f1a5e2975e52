"""`python -m history recorder | estimates | api | rebuild | migrate`."""

import sys

from history.settings import Settings
from shared.command import run_command
from shared.lifecycle import run


async def recorder(settings: Settings) -> None:
    """Write the run log from the events."""
    from history.app import recording  # migrating needs none of this

    async with recording(settings) as process:
        await run(process.loops, app=process.app, health=process.health, settings=settings)


async def estimates(settings: Settings) -> None:
    """Say when running exports will be done."""
    from history.app import estimating  # migrating needs none of this

    async with estimating(settings) as process:
        await run(process.loops, app=process.app, health=process.health, settings=settings)


async def api(settings: Settings) -> None:
    """Serve the run log, the files and live changes over HTTP."""
    from history.app import serving  # migrating needs none of this

    async with serving(settings) as process:
        await run(process.loops, app=process.app, health=process.health, settings=settings)


async def rebuild(settings: Settings) -> None:
    """Rebuild the run log from the topics and put it in the place of the one that is there."""
    from history.app import rebuilt_log  # migrating needs none of this

    rebuilt = await rebuilt_log(settings)
    sys.stdout.write(f"rebuilt {rebuilt.runs} runs from {rebuilt.events} events in {rebuilt.seconds:.1f} s\n")


if __name__ == "__main__":
    run_command(
        "history",
        description=__doc__,
        settings_class=Settings,
        processes={"recorder": recorder, "estimates": estimates, "api": api, "rebuild": rebuild},
    )
