"""`python -m deploy.sample load`: fills a database with a sample contact history."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg

from deploy.sample.load import SampleConflict, Summary, load
from shared.clock import SystemClock


def main() -> int:
    """Run the command line; return the exit code."""
    arguments = _parser().parse_args()
    try:
        password_file: Path | None = arguments.reader_password_file
        password = password_file.read_text(encoding="utf-8").strip() if password_file else None
        summary = asyncio.run(_load(arguments, password))
    except (SampleConflict, ValueError, OSError, asyncpg.PostgresError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped, nothing was loaded", file=sys.stderr)
        return 130
    counts = ", ".join(f"{count:,} {view}s" for view, count in summary.rows.items())
    if summary.already_loaded:
        print(f"Already loaded: {counts}.")
    else:
        print(f"Loaded {counts} ({summary.bytes / 1e6:,.0f} MB) in {summary.seconds:.1f} s.")
    return 0


async def _load(arguments: argparse.Namespace, reader_password: str | None) -> Summary:
    return await load(
        arguments.dsn,
        interactions=arguments.interactions,
        seed=arguments.seed,
        tenants=arguments.tenants,
        replace=arguments.replace,
        reader_password=reader_password,
        workers=arguments.workers,
        progress=_progress_line(arguments.interactions),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.sample", description="Generate a sample contact history from a seed."
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("load", help="load the sample into a PostgreSQL database")
    command.add_argument(
        "--dsn", required=True, help="the database; its role needs the right to create roles and schemas"
    )
    command.add_argument("--interactions", type=int, default=200_000, help="1 to 10,000,000 (default 200,000)")
    command.add_argument("--seed", type=int, default=1, help="a different seed gives different rows (default 1)")
    command.add_argument(
        "--tenants", type=int, default=2, help="tenant 101 has 90 % of the rows, 102 and up share the rest (default 2)"
    )
    command.add_argument("--replace", action="store_true", help="first drop a sample of another size or seed")
    command.add_argument("--reader-password-file", type=Path, help="file with the new password of sluice_reader")
    command.add_argument("--workers", type=int, help="processes that generate rows (default: one per core)")
    return parser


def _progress_line(total: int) -> Callable[[int], None]:
    clock = SystemClock()
    began = clock.now()
    is_terminal = sys.stderr.isatty()
    shown = 0

    def show(done: int) -> None:
        nonlocal shown
        # In a log, ten lines are enough.
        if not is_terminal and done * 10 // total == shown * 10 // total:
            return
        shown = done
        left = (clock.now() - began).total_seconds() / done * (total - done)
        line = f"{done:,} of {total:,} interactions ({done * 100 // total} %), {left:.0f} s left"
        if is_terminal:
            line = f"\r{line:<70}"
        print(line, end="" if is_terminal and done < total else "\n", file=sys.stderr, flush=True)

    return show


if __name__ == "__main__":
    sys.exit(main())
