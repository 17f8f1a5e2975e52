"""`make bench-decrypt`: `sluice decrypt` compared with `openssl cms -decrypt` and `unzip`, in one run; then JSON.

Everything is a process of its own, as a user runs it: its start counts. The flat memory is shown with a file that has
many times the size, which is generated as a stream.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from exporter.package.cms import EnvelopeEncoder
from exporter.package.zip_stream import ZipStream
from tests.bench.catalogue import DECRYPT
from tests.bench.report import conclude, parse_arguments, print_line
from tests.unit.stream.officers import officer

_BLOCK_LINES = 20_000
_PIECE = 256 * 1024
_MEMBER_BYTES = 3_500_000_000
_NO_OUTPUT = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]


@dataclass(frozen=True, slots=True)
class Sample:
    """An encrypted file, the bytes of its records, and their CRC."""

    path: Path
    raw_bytes: int
    crc: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took: seconds of the clock and of the processors, and its highest resident size in MiB."""

    wall: float
    cpu: float
    rss_mib: float


@dataclass
class Bench:
    """What is compared, and the measurements so far."""

    folder: Path
    sample: Sample
    costs: dict[str, list[Cost]] = field(default_factory=dict)

    def list_candidates(self) -> dict[str, Callable[[], None]]:
        """Return what is compared, by name."""
        return {"sluice": self._run_sluice, "openssl": self._run_openssl}

    def median(self, name: str, of: Callable[[Cost], float] = lambda cost: cost.wall) -> float:
        """Return the median of a candidate's costs."""
        return statistics.median(map(of, self.costs[name]))

    def _run_sluice(self) -> None:
        output = self.folder / "records"
        self._note("sluice", measure(sluice_command(self.sample.path, self.folder, output)))
        require_records(output, self.sample)

    def _run_openssl(self) -> None:
        """Decrypt, and then unpack: only both together do what `sluice decrypt` does."""
        archive, records = self.folder / "archive.zip", self.folder / "records"
        key, certificate = self.folder / "officer/key.pem", self.folder / "officer/certificate.pem"
        argv = ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", str(self.sample.path)]
        decrypted = measure([*argv, "-inkey", str(key), "-recip", str(certificate), "-out", str(archive)])
        unzipped = measure(["unzip", "-q", str(archive), "-d", str(records)])
        self._note("openssl", decrypted)
        self._note("openssl and unzip", Cost(decrypted.wall + unzipped.wall, decrypted.cpu + unzipped.cpu, 0))
        archive.unlink()
        require_records(records, self.sample)

    def _note(self, name: str, cost: Cost) -> None:
        self.costs.setdefault(name, []).append(cost)
        print_line(f"  {name:20} {cost.wall:7.2f} s  {cost.cpu:7.2f} CPU s  {cost.rss_mib:8.0f} MiB")


def sluice_command(sample: Path, folder: Path, output: Path) -> list[str]:
    """Return the command that is measured."""
    command = str(Path(sys.executable).with_name("sluice"))
    return [command, "decrypt", str(sample), "--key", str(folder / "officer/key.pem"), "--output", str(output)]


def measure(argv: list[str]) -> Cost:
    """Run a command, and return what it cost. Raises AssertionError when it fails."""
    started = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=_NO_OUTPUT)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise AssertionError(f"{argv[0]} failed")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def write_sample(path: Path, size: int) -> Sample:
    """Write an encrypted file of at least `size` bytes, with records that compress as an export's do."""
    block = memoryview(b"".join(_build_lines(random.Random(1))))
    encoder = EnvelopeEncoder([officer("b").recipient, officer("a").recipient])
    archive = ZipStream(datetime(2026, 11, 24, tzinfo=UTC))
    raw, crc, members = 0, 0, 0
    with path.open("wb") as file:
        file.write(encoder.start())
        while file.tell() < size:
            if raw >= members * _MEMBER_BYTES:
                members += 1
                file.write(encoder.update(archive.begin(f"Interaction_{members:04}.jsonl")))
            for at in range(0, len(block), _PIECE):
                file.write(encoder.update(archive.write(block[at : at + _PIECE])))
            raw += len(block)
            crc = zlib.crc32(block, crc)
        file.write(encoder.update(archive.finish()) + encoder.finish())
    return Sample(path, raw, crc)


def require_records(folder: Path, sample: Sample) -> None:
    """Compare the records in a folder with those of the sample, and remove them. Raises AssertionError."""
    size, crc = 0, 0
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            while chunk := file.read(4 * _PIECE):
                size, crc = size + len(chunk), zlib.crc32(chunk, crc)
        path.unlink()
    if (size, crc) != (sample.raw_bytes, sample.crc):
        raise AssertionError("the decrypted records are not those that were encrypted")


def _build_lines(chance: random.Random) -> list[bytes]:
    words = [chance.randbytes(4).hex() for _ in range(3000)]
    lines = (
        f'{{"id":"{number}","status":"Stopped","startDate":"2026-11-24T10:00:{number % 60:02}.{number:06}+00:00",'
        f'"subject":"{" ".join(chance.choices(words, k=6))}","text":"{" ".join(chance.choices(words, k=60))}"}}\n'
        for number in range(_BLOCK_LINES)
    )
    return [line.encode() for line in lines]


def main() -> None:
    """Run the rounds, each beginning with another candidate, then the large file."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.decrypt", description=__doc__)
    parser.add_argument("--mb", type=int, default=1000, help="size of the encrypted file, MB")
    parser.add_argument("--large-mb", type=int, default=5000, help="size of the one that shows that memory is flat, MB")
    parser.add_argument("--rounds", type=int, default=3)
    given = parse_arguments(parser, DECRYPT)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-decrypt-") as temporary:
        folder = Path(temporary)
        officer("a").write_to(folder / "officer")
        bench = Bench(folder, write_sample(folder / "Interaction.zip.p7m", given.mb * 1_000_000))
        candidates = list(bench.list_candidates().values())
        for number in range(given.rounds):
            print_line(f"round {number + 1}")
            for each in candidates[number % 2 :] + candidates[: number % 2]:
                each()
        bench.sample.path.unlink()
        large = write_sample(folder / "Large.zip.p7m", given.large_mb * 1_000_000)
        largest = measure(sluice_command(large.path, folder, folder / "records"))
        require_records(folder / "records", large)
    conclude(DECRYPT, compute_figures(bench, largest), is_smallest=given.smallest)


def compute_figures(bench: Bench, largest: Cost) -> dict[str, float]:
    """Return the figures in their order."""
    wall = bench.median("sluice")
    rss = bench.median("sluice", lambda cost: cost.rss_mib)
    return {
        "vs_openssl": bench.median("openssl") / wall,
        "vs_openssl_unzip": bench.median("openssl and unzip") / wall,
        "cpu_vs_openssl_unzip": bench.median("openssl and unzip", lambda cost: cost.cpu)
        / bench.median("sluice", lambda cost: cost.cpu),
        "rss_mib": rss,
        "rss_growth_mib": largest.rss_mib - rss,
        "openssl_rss_mib": bench.median("openssl", lambda cost: cost.rss_mib),
        "raw_mb_per_s": bench.sample.raw_bytes / 1e6 / wall,
    }


if __name__ == "__main__":
    main()
