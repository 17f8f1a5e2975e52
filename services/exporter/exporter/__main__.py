"""`python -m exporter run | migrate`."""

from datetime import timedelta

from exporter.settings import Settings
from shared.command import run_command
from shared.lifecycle import health_app, run


async def serve(settings: Settings) -> None:
    """Admit, claim and export until stopped.

    Raises PostgresUnavailable or KafkaUnavailable.
    """
    from exporter.app import open_exporter  # not needed to migrate

    async with open_exporter(settings) as process:
        await run(
            process.loops,
            app=health_app(process.health),
            health=process.health,
            settings=settings,
            grace=settings.drain + timedelta(seconds=8),
        )


if __name__ == "__main__":
    run_command("exporter", description=__doc__, settings_class=Settings, processes={"run": serve})
