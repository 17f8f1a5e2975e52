"""`python -m exporter run | deliver | migrate | generate-sealing-key`."""

import sys
from datetime import timedelta

from exporter.delivery.settings import Settings as DeliverySettings
from exporter.settings import Settings
from shared.command import run_command
from shared.lifecycle import health_app, run
from shared.sealing import generate_key_pair


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


async def deliver(settings: DeliverySettings) -> None:
    """Deliver finished files to destinations, and test these, until stopped.

    Raises InvalidSettings, PostgresUnavailable or KafkaUnavailable.
    """
    from exporter.delivery.app import open_deliverer  # not needed to migrate or to export

    async with open_deliverer(settings) as process:
        await run(
            process.loops,
            app=health_app(process.health),
            health=process.health,
            settings=settings,
            grace=settings.drain + timedelta(seconds=8),
        )


def generate_sealing_key(_: list[str]) -> None:
    """Print a new key pair for the credentials of destinations, as settings."""
    private, public = generate_key_pair()
    sys.stdout.write(f"SLUICE_DELIVERY_PRIVATE_KEYS={private}\nSLUICE_JOB_API_DELIVERY_PUBLIC_KEY={public}\n")


if __name__ == "__main__":
    run_command(
        "exporter",
        description=__doc__,
        settings_class=Settings,
        processes={"run": serve, "deliver": deliver},  # type: ignore[dict-item]  # each has the settings named below
        commands={"generate-sealing-key": generate_sealing_key},
        other_settings={"deliver": DeliverySettings},
    )
