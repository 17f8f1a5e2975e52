"""`python -m scheduler run | migrate`."""

import gc

from scheduler.settings import Settings
from shared.command import run_command
from shared.lifecycle import health_app, run


async def serve(settings: Settings) -> None:
    """Decide slots until stopped."""
    from scheduler.app import open_scheduler  # `migrate` needs none of this

    async with open_scheduler(settings) as process:
        # A batch creates thousands of small objects and no reference cycles: frequent garbage collection, over all
        # imported modules, would take an eighth of the time.
        gc.freeze()
        gc.set_threshold(100_000, 20, 50)
        await run(process.loops, app=health_app(process.health), health=process.health, settings=settings)


if __name__ == "__main__":
    run_command("scheduler", description=__doc__, settings_class=Settings, processes={"run": serve})
