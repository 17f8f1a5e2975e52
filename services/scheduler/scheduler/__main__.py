"""`python -m scheduler run | migrate`."""

import gc

from scheduler.settings import Settings
from shared.command import run_command
from shared.lifecycle import health_app, run


async def serve(settings: Settings) -> None:
    """Decide slots until told to stop."""
    from scheduler.app import running  # migrating needs none of this

    async with running(settings) as process:
        # A turn makes thousands of small objects and no circles: looking for circles so often, and through all that
        # was imported, costs an eighth of the time.
        gc.freeze()
        gc.set_threshold(100_000, 20, 50)
        await run(process.loops, app=health_app(process.health), health=process.health, settings=settings)


if __name__ == "__main__":
    run_command("scheduler", description=__doc__, settings_class=Settings, processes={"run": serve})
