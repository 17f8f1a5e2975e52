"""The command line of a service: its processes by name, and `migrate`."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar, cast

import uvloop

from shared.errors import SluiceError, TransientError
from shared.lifecycle import wait_for_first
from shared.observe import configure_logging, get_logger
from shared.postgres import migrate, require_schema
from shared.settings import MigrationSettings, ServiceSettings

S = TypeVar("S", bound=ServiceSettings)
log = get_logger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0


def run_command(
    package: str,
    *,
    description: str | None,
    settings_class: type[S],
    processes: Mapping[str, Callable[[S], Awaitable[None]]],
    tasks: Mapping[str, Callable[[S], Awaitable[None]]] | None = None,
    commands: Mapping[str, Callable[[list[str]], None]] | None = None,
    other_settings: Mapping[str, type[ServiceSettings]] | None = None,
) -> None:
    """Run the process, the task or the migration that the command line names; exit 1 with one line on a SluiceError.

    Processes run until they are stopped, and wait at their start for servers that are unavailable. Tasks end by
    themselves, and fail then. `commands` parse the rest of the command line themselves. `other_settings` are those of
    processes that do not have the service's.
    """
    tasks, commands = tasks or {}, commands or {}
    if sys.argv[1:2] and sys.argv[1] in commands:
        commands[sys.argv[1]](sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=description)
    choices = parser.add_subparsers(dest="command", required=True)
    choices.add_parser("migrate", help="Bring the database schema up to date.")
    described: Mapping[str, Callable[..., object]] = {**processes, **tasks, **commands}
    for name, each in described.items():
        choices.add_parser(name, help=(each.__doc__ or "").strip().splitlines()[0])
    command = parser.parse_args().command
    try:
        if command == "migrate":
            uvloop.run(migrate(MigrationSettings.load().postgres, package))
            return
        settings = cast("S", (other_settings or {}).get(command, settings_class).load())
        configure_logging(level=settings.log_level, form=settings.log_format, service=f"{package}:{command}")
        if command in tasks:
            uvloop.run(_run(package, tasks[command], settings))
        else:
            uvloop.run(_run_when_available(package, processes[command], settings))
    except SluiceError as error:
        sys.exit(f"{parser.prog} {command}: {error}")


async def _run(package: str, run: Callable[[S], Awaitable[None]], settings: S) -> None:
    await require_schema(settings.postgres, package)
    await run(settings)


async def _run_when_available(package: str, process: Callable[[S], Awaitable[None]], settings: S) -> None:
    """Run a process; while a server that it needs to start is unavailable, wait instead of ending."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return await _run(package, process, settings)
        except TransientError as error:
            log.warning("waiting to start", why=str(error), retry_in_seconds=pause)
        if await _is_stopped_within(pause):
            log.info("stopped before it could start")
            return None
        pause = min(_LONGEST_PAUSE, 2 * pause)


async def _is_stopped_within(seconds: float) -> bool:
    """Wait, and return whether the process was asked to stop meanwhile."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        await wait_for_first(stopping, seconds=seconds)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    return stopping.is_set()
