"""The command line of a service: its processes by name, and `migrate`."""

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import uvloop

from shared.errors import SluiceError
from shared.observe import configure_logging
from shared.postgres import migrate, require_schema
from shared.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)


def run_command(
    package: str,
    *,
    description: str | None,
    settings_class: type[S],
    processes: Mapping[str, Callable[[S], Awaitable[None]]],
) -> None:
    """Run the process or the migration that the command line names; exit 1 with one line on a SluiceError."""
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the database schema up to date")
    for name, process in processes.items():
        commands.add_parser(name, help=(process.__doc__ or "").strip().splitlines()[0])
    command = parser.parse_args().command
    try:
        settings = settings_class.load()
        configure_logging(level=settings.log_level, form=settings.log_format, service=f"{package}:{command}")
        uvloop.run(
            migrate(settings.postgres, package) if command == "migrate" else _run(package, processes[command], settings)
        )
    except SluiceError as error:
        sys.exit(f"{parser.prog} {command}: {error}")


async def _run(package: str, process: Callable[[S], Awaitable[None]], settings: S) -> None:
    await require_schema(settings.postgres, package)
    await process(settings)
