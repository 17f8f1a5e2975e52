"""`make bench-delivery`: a storm of faults, a dead destination, speed beside peers, memory; the last line is JSON."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable

from tests.bench.catalogue import DELIVERY
from tests.bench.delivery import delays, speed, storm
from tests.bench.delivery.stage import Stage, open_stage
from tests.bench.report import conclude, parse_arguments, print_line

Section = Callable[[Stage, argparse.Namespace], Awaitable[dict[str, float]]]
SECTIONS: dict[str, Section] = {"storm": storm.measure, "delay": delays.measure, "speed": speed.measure}


async def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Return the figures of the requested sections; each starts deliverers of its own."""
    figures: dict[str, float] = {}
    async with open_stage() as stage:
        for name in arguments.only or SECTIONS:
            found = await SECTIONS[name](stage, arguments)
            stage.deliveries.system.stop()
            print_line(f"{name}: {found}")
            figures |= found
    return figures


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.delivery", description=__doc__)
    parser.add_argument("--deliveries", type=int, default=1000, help="deliveries of the storm, to two destinations")
    parser.add_argument("--faults", type=int, default=20, help="faults of the storm: kills, freezes, stalls, cuts")
    parser.add_argument("--waiting", type=int, default=100, help="deliveries whose delay is measured")
    parser.add_argument("--mib", type=int, default=1024, help="size of the file whose speed is measured")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of which the median counts")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="a section, repeatable; default: all")
    arguments = parse_arguments(parser, DELIVERY)
    figures = asyncio.run(measure(arguments))
    conclude(DELIVERY, figures, is_smallest=arguments.smallest)


if __name__ == "__main__":
    main()
