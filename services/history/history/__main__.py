"""`python -m history recorder | estimates | api | migrate`."""

from history.app import estimating, recording, serving
from history.settings import Settings
from shared.command import main
from shared.lifecycle import run


async def recorder(settings: Settings) -> None:
    """Write the run log from the events."""
    async with recording(settings) as process:
        await run(process.loops, app=process.app, health=process.health, settings=settings)


async def estimates(settings: Settings) -> None:
    """Say when running exports will be done."""
    async with estimating(settings) as process:
        await run(process.loops, app=process.app, health=process.health, settings=settings)


async def api(settings: Settings) -> None:
    """Serve the run log, the files and live changes over HTTP."""
    async with serving(settings) as process:
        await run(process.loops, app=process.app, health=process.health, settings=settings)


if __name__ == "__main__":
    main("history", __doc__, Settings, {"recorder": recorder, "estimates": estimates, "api": api})
