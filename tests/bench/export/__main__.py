"""`make bench-export`: the worker's stream compared with shell pipelines, in one run; the last line is JSON."""

import argparse
import asyncio
import os
import statistics
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.reaper import Reaper
from shared.events.values import FileKind
from tests.bench.catalogue import EXPORT
from tests.bench.export import ours
from tests.bench.export.ours import ExportMeasurement
from tests.bench.export.peers import ATTACHMENTS, RECORDS, SHELL, ShellRunner, Timing
from tests.bench.export.table import BenchSource, open_source
from tests.bench.report import conclude, parse_arguments, print_line
from tests.unit.stream.officers import officer

_OURS, _OURS_FILES, _SHELL_FILES = "ours", "ours, attachments", "shell, attachments"


@dataclass
class Bench:
    """What is measured, and the measurements so far."""

    source: BenchSource
    folder: Path
    shell: ShellRunner
    exports: dict[str, list[ExportMeasurement]] = field(default_factory=dict)
    walls: dict[str, list[float]] = field(default_factory=dict)
    cpus: dict[str, list[float]] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)

    async def prepare(self) -> None:
        """Read the source once, which fills its caches, and note what the files must contain."""
        self.expected = {
            _OURS: self.shell.hash_source(RECORDS, copied=False),
            "shell": self.shell.hash_source(RECORDS, copied=True),
            _OURS_FILES: self.shell.hash_source(ATTACHMENTS, copied=False),
            _SHELL_FILES: self.shell.hash_source(ATTACHMENTS, copied=True),
        }
        self.expected |= dict.fromkeys(("shell_zip1", "igzip"), self.expected["shell"])

    def list_candidates(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return what is compared, by name."""
        shell = {name: (lambda name=name: self._pipe(name, SHELL[name], RECORDS)) for name in SHELL}
        return {
            _OURS: lambda: self._export(_OURS),
            **shell,
            "naive": self._naive,
            _OURS_FILES: lambda: self._export(_OURS_FILES),
            _SHELL_FILES: lambda: self._pipe(_SHELL_FILES, SHELL["shell"], ATTACHMENTS),
        }

    def median(self, name: str) -> float:
        """Return the median wall time of a candidate."""
        return statistics.median(self.walls[name])

    async def _export(self, name: str) -> None:
        kind: FileKind = "interaction" if name == _OURS else "interaction-attachment"
        measured = await ours.export(self.source.dsn, self.folder, officer().pem.decode(), kind)
        [file] = measured.files
        self._check(name, file)
        self._note(name, Timing(measured.wall, measured.cpu))
        self.exports.setdefault(name, []).append(measured)

    async def _pipe(self, name: str, command: str, query: str) -> None:
        file = self.folder / "peer"
        self._note(name, self.shell.measure(command, query=query, file=file))
        if name in self.expected and len(self.walls[name]) == 1:
            self._check(name, file, packed="gzip" if name == "igzip" else "zip")

    async def _naive(self) -> None:
        file = self.folder / "naive"
        self._note("naive", self.shell.measure_naive(file))
        if len(self.walls["naive"]) == 1:
            self.shell.hash_file(file)
        file.unlink()

    def _check(self, name: str, file: Path, *, packed: str = "zip") -> None:
        found = self.shell.hash_file(file, packed=packed)
        file.unlink()
        if found != self.expected[name]:
            raise AssertionError(f"{name}: the file does not contain what the source contains")

    def _note(self, name: str, timing: Timing) -> None:
        self.walls.setdefault(name, []).append(timing.wall)
        self.cpus.setdefault(name, []).append(timing.cpu)
        print_line(f"  {name:20} {timing.wall:7.2f} s")


def compute_figures(bench: Bench, growth: float) -> dict[str, float]:
    """Return the bench's figures in their order."""
    wall, records = bench.median(_OURS), bench.exports[_OURS]
    gigabytes = records[0].bytes_raw / 1e9
    return {
        "vs_shell": bench.median("shell") / wall,
        "vs_shell_zip1": bench.median("shell_zip1") / wall,
        "vs_igzip": bench.median("igzip") / wall,
        "vs_psql_null": wall / bench.median("psql_null"),
        "vs_naive": bench.median("naive") / wall,
        "cpu_s_per_gb": statistics.median(bench.cpus[_OURS]) / gigabytes,
        "rss_mib": max(each.rss_mib for each in records),
        "rss_growth_mib": growth,
        "attachments_vs_shell": bench.median(_SHELL_FILES) / bench.median(_OURS_FILES),
        "raw_mb_per_s": gigabytes * 1000 / wall,
    }


def print_table(bench: Bench) -> None:
    """Print one line for each candidate."""
    sizes = {name: bench.exports[name][0].bytes_raw for name in (_OURS, _OURS_FILES)}
    print_line(f"\n{'candidate':20} {'wall s':>8} {'raw MB/s':>9} {'ratio':>6} {'CPU s':>7}")
    for name, walls in bench.walls.items():
        attachments = name in {_OURS_FILES, _SHELL_FILES}
        base, size = (_SHELL_FILES, sizes[_OURS_FILES]) if attachments else ("shell", sizes[_OURS])
        wall, cpu = statistics.median(walls), statistics.median(bench.cpus[name])
        print_line(f"{name:20} {wall:8.2f} {size / 1e6 / wall:9.0f} {bench.median(base) / wall:6.2f} {cpu:7.2f}")


async def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Measure everything in a temporary folder."""
    with Reaper() as reaper:
        folder = reaper.temporary_folder("sluice-bench-")
        files = folder / "files"
        files.mkdir()
        key, certificate = officer().write_to(folder / "officer")
        async with open_source(reaper, folder, arguments.rows) as source:
            bench = Bench(source, files, ShellRunner(source.dsn, files, key, certificate))
            print_line(f"{source.rows:,} interactions; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            await bench.prepare()
            for number in range(arguments.rounds):
                print_line(f"round {number + 1} of {arguments.rounds}")
                # Each round begins with another candidate, so that none always follows the same one.
                candidates = list(bench.list_candidates().items())
                first = number % len(candidates)
                for name, run in candidates[first:] + candidates[:first]:
                    # It takes longer than all the others together, and is not close to any of them.
                    if name != "naive" or number == 0:
                        await run()
            print_table(bench)
            await measure_others(bench)
            grown = await measure_growth(bench, arguments.growth)
            print_line(f"load {os.getloadavg()[0]:.1f} at the end")
            return compute_figures(bench, grown)


async def measure_others(bench: Bench) -> None:
    """Measure and print what is not a figure: two workers on one split run, the first message, a cancellation."""
    pem, folder = officer().pem.decode(), bench.folder
    both: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(3):
        for workers, walls in both.items():
            walls.append(await ours.export_split(bench.source.dsn, folder, pem, workers=workers))
    one, two = (statistics.median(walls) for walls in both.values())
    cancelled = await ours.measure_cancellation(
        bench.source.dsn, folder, pem, ours.SourceConnections(bench.source.admin_dsn)
    )
    first = statistics.median(each.first_message for each in bench.exports[_OURS])
    print_line(f"\na split run: {one:.2f} s with one worker, {two:.2f} s with two ({one / two:.2f} x)")
    print_line(
        f"first message {first * 1000:.0f} ms after the order; backend freed {cancelled * 1000:.0f} ms after a kill"
    )


async def measure_growth(bench: Bench, times: int) -> float:
    """Return by how many MiB the highest resident size rises with `times` as many rows."""
    before = max(each.rss_mib for each in bench.exports[_OURS])
    if times <= 1:
        return 0.0
    await bench.source.grow(bench.source.rows * times)
    measured = await ours.export(bench.source.dsn, bench.folder, officer().pem.decode(), "interaction")
    print_line(
        f"{measured.rows:,} rows, {measured.bytes_raw / 1e9:.2f} GB: {measured.wall:.1f} s, {measured.rss_mib:.1f} MiB"
    )
    return measured.rss_mib - before


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.export", description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000, help="interactions (default 300,000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each candidate is measured (default 3)")
    parser.add_argument(
        "--growth", type=int, default=4, help="by how much rows are multiplied to measure memory (default 4)"
    )
    given = parse_arguments(parser, EXPORT)
    conclude(EXPORT, asyncio.run(measure(given)), is_smallest=given.smallest)


if __name__ == "__main__":
    main()
