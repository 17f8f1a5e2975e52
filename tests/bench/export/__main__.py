"""`make bench-export`: the worker's stream beside what a shell can do, in one run; the last line is JSON."""

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.reaper import Reaper
from shared.events.values import FileKind
from tests.bench.export import ours
from tests.bench.export.ours import Measured
from tests.bench.export.peers import ATTACHMENTS, RECORDS, SHELL, Shell, Timed
from tests.bench.export.table import Source, source
from tests.unit.stream.officers import officer

AT_LEAST = {"vs_shell": 2.5, "vs_shell_zip1": 1.3, "vs_igzip": 1.05, "vs_naive": 8.0, "attachments_vs_shell": 4.0}
AT_MOST = {"vs_psql_null": 1.25, "cpu_s_per_gb": 6.5, "rss_mib": 96.0, "rss_growth_mib": 16.0}
_OURS, _OURS_FILES, _SHELL_FILES = "ours", "ours, attachments", "shell, attachments"


@dataclass
class Bench:
    """Everything that is measured, and what came of it so far."""

    source: Source
    folder: Path
    shell: Shell
    exports: dict[str, list[Measured]] = field(default_factory=dict)
    walls: dict[str, list[float]] = field(default_factory=dict)
    cpus: dict[str, list[float]] = field(default_factory=dict)
    wanted: dict[str, str] = field(default_factory=dict)

    async def prepare(self) -> None:
        """Read the source once, which fills its caches, and note what the files must hold."""
        self.wanted = {
            _OURS: self.shell.content_of_source(RECORDS, copied=False),
            "shell": self.shell.content_of_source(RECORDS, copied=True),
            _OURS_FILES: self.shell.content_of_source(ATTACHMENTS, copied=False),
            _SHELL_FILES: self.shell.content_of_source(ATTACHMENTS, copied=True),
        }
        self.wanted |= dict.fromkeys(("shell_zip1", "igzip"), self.wanted["shell"])

    def ways(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return each way by its name."""
        shell = {name: (lambda name=name: self._pipe(name, SHELL[name], RECORDS)) for name in SHELL}
        return {
            _OURS: lambda: self._export(_OURS),
            **shell,
            "naive": self._naive,
            _OURS_FILES: lambda: self._export(_OURS_FILES),
            _SHELL_FILES: lambda: self._pipe(_SHELL_FILES, SHELL["shell"], ATTACHMENTS),
        }

    def median(self, name: str) -> float:
        """Return the median wall time of a way."""
        return statistics.median(self.walls[name])

    async def _export(self, name: str) -> None:
        kind: FileKind = "interaction" if name == _OURS else "interaction-attachment"
        measured = await ours.export(self.source.dsn, self.folder, officer().pem.decode(), kind)
        [file] = measured.files
        self._check(name, file)
        self._note(name, Timed(measured.wall, measured.cpu))
        self.exports.setdefault(name, []).append(measured)

    async def _pipe(self, name: str, command: str, query: str) -> None:
        file = self.folder / "peer"
        self._note(name, self.shell.timed(command, query=query, file=file))
        if name in self.wanted and len(self.walls[name]) == 1:
            self._check(name, file, packed="gzip" if name == "igzip" else "zip")

    async def _naive(self) -> None:
        file = self.folder / "naive"
        self._note("naive", self.shell.naive(file))
        if len(self.walls["naive"]) == 1:
            self.shell.content_of(file)
        file.unlink()

    def _check(self, name: str, file: Path, *, packed: str = "zip") -> None:
        found = self.shell.content_of(file, packed=packed)
        file.unlink()
        if found != self.wanted[name]:
            raise AssertionError(f"{name}: the file does not hold what the source holds")

    def _note(self, name: str, timed: Timed) -> None:
        self.walls.setdefault(name, []).append(timed.wall)
        self.cpus.setdefault(name, []).append(timed.cpu)
        say(f"  {name:20} {timed.wall:7.2f} s")


def figures(bench: Bench, growth: float) -> dict[str, float]:
    """Return what the bench promises to say, in the order of its promises."""
    mine, records = bench.median(_OURS), bench.exports[_OURS]
    gigabytes = records[0].bytes_raw / 1e9
    found = {
        "vs_shell": bench.median("shell") / mine,
        "vs_shell_zip1": bench.median("shell_zip1") / mine,
        "vs_igzip": bench.median("igzip") / mine,
        "vs_psql_null": mine / bench.median("psql_null"),
        "vs_naive": bench.median("naive") / mine,
        "cpu_s_per_gb": statistics.median(bench.cpus[_OURS]) / gigabytes,
        "rss_mib": max(each.rss_mib for each in records),
        "rss_growth_mib": growth,
        "attachments_vs_shell": bench.median(_SHELL_FILES) / bench.median(_OURS_FILES),
        "raw_mb_per_s": gigabytes * 1000 / mine,
    }
    return {name: round(value, 2) for name, value in found.items()}


def table(bench: Bench) -> None:
    """Print every way in a line."""
    sizes = {name: bench.exports[name][0].bytes_raw for name in (_OURS, _OURS_FILES)}
    say(f"\n{'way':20} {'wall s':>8} {'raw MB/s':>9} {'ratio':>6} {'CPU s':>7}")
    for name, walls in bench.walls.items():
        attachments = name in {_OURS_FILES, _SHELL_FILES}
        base, size = (_SHELL_FILES, sizes[_OURS_FILES]) if attachments else ("shell", sizes[_OURS])
        wall, cpu = statistics.median(walls), statistics.median(bench.cpus[name])
        say(f"{name:20} {wall:8.2f} {size / 1e6 / wall:9.0f} {bench.median(base) / wall:6.2f} {cpu:7.2f}")


async def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Measure everything in a folder of its own."""
    with Reaper() as reaper:
        folder = reaper.temporary_folder("sluice-bench-")
        files = folder / "files"
        files.mkdir()
        key, certificate = officer().write_to(folder / "officer")
        async with source(reaper, folder, arguments.rows) as made:
            bench = Bench(made, files, Shell(made.dsn, files, key, certificate))
            say(f"{made.rows:,} interactions; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            await bench.prepare()
            for number in range(arguments.rounds):
                say(f"round {number + 1} of {arguments.rounds}")
                # Each round begins elsewhere, so that no way always follows the same one.
                ways = list(bench.ways().items())
                for name, way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                    # It takes longer than all the others together, and is far off.
                    if name != "naive" or number == 0:
                        await way()
            table(bench)
            await beside(bench)
            grown = await growth(bench, arguments.growth)
            say(f"load {os.getloadavg()[0]:.1f} at the end")
            return figures(bench, grown)


async def beside(bench: Bench) -> None:
    """Measure what has no key of its own: two workers on one split run, the first word, a cancellation."""
    pem, folder = officer().pem.decode(), bench.folder
    both: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(3):
        for workers, walls in both.items():
            walls.append(await ours.export_split(bench.source.dsn, folder, pem, workers=workers))
    one, two = (statistics.median(walls) for walls in both.values())
    cancelled = await ours.cancel_seconds(bench.source.dsn, folder, pem, ours.Active(bench.source.admin_dsn))
    first = statistics.median(each.first_word for each in bench.exports[_OURS])
    say(f"\na split run: {one:.2f} s with one worker, {two:.2f} s with two ({one / two:.2f} x)")
    say(
        f"first word {first * 1000:.0f} ms after the order; backend gone {cancelled * 1000:.0f} ms after a cancellation"
    )


async def growth(bench: Bench, times: int) -> float:
    """Return by how many MiB the highest resident size is above that of the rows so far, with `times` as many."""
    before = max(each.rss_mib for each in bench.exports[_OURS])
    if times <= 1:
        return 0.0
    await bench.source.grow(bench.source.rows * times)
    measured = await ours.export(bench.source.dsn, bench.folder, officer().pem.decode(), "interaction")
    say(f"{measured.rows:,} rows, {measured.bytes_raw / 1e9:.2f} GB: {measured.wall:.1f} s, {measured.rss_mib:.1f} MiB")
    return measured.rss_mib - before


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure, print a table and a line of JSON, and exit 1 when a figure is not reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.export", description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000, help="interactions (default 300,000)")
    parser.add_argument("--rounds", type=int, default=3, help="times that each way is measured (default 3)")
    parser.add_argument("--growth", type=int, default=4, help="memory is also measured at so many times the rows")
    found = asyncio.run(measure(parser.parse_args()))
    missed = [name for name, least in AT_LEAST.items() if found[name] < least]
    missed += [name for name, most in AT_MOST.items() if found[name] > most]
    if missed:
        say(f"not reached: {', '.join(missed)}")
    say(json.dumps(found))
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
