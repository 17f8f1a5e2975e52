"""How every benchmark ends: a table with the bounds, one JSON object as the last line, and the exit status."""

import argparse
import json
import sys
from collections.abc import Mapping

from tests.bench.catalogue import Benchmark


def print_line(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def parse_arguments(parser: argparse.ArgumentParser, benchmark: Benchmark) -> argparse.Namespace:
    """Parse the command line, to which `--smallest` is added: the sizes with which the tests run the benchmark."""
    parser.add_argument(
        "--smallest",
        action="store_true",
        help="only show that the benchmark works: the smallest sizes, and no figure is held to its bounds",
    )
    if parser.parse_args().smallest:
        # Options that are given as well still count.
        parser.set_defaults(**vars(parser.parse_args(benchmark.smallest)))
    return parser.parse_args()


def conclude(benchmark: Benchmark, found: Mapping[str, float], *, is_smallest: bool) -> None:
    """Print the figures with their bounds and as JSON. Exits with 1 when a figure is out of its bounds."""
    missed = []
    for name, value in found.items():
        figure = benchmark.figures[name]
        if not figure.is_kept(value):
            missed.append(name)
        verdict = "" if not figure.bounds else "yes" if figure.is_kept(value) else "NO"
        print_line(f"{name:>20} {value:12,.3f}  {figure.bounds:18} {verdict:3}  {figure.meaning}")
    if missed and is_smallest:
        print_line("(the smallest form: no figure is held to its bounds)")
    print_line(json.dumps({name: round(value, 4) for name, value in found.items()}))
    if missed and not is_smallest:
        sys.exit(f"out of bounds: {', '.join(missed)}")
