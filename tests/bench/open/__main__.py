"""`make bench-open`: which programs open the files, tried one by one; the last line is JSON.

It is a matrix, not a timing. With --write the tables go into docs/OPENING.md.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.catalogue import OPEN
from tests.bench.open.cases import ARCHIVES, ENVELOPES, EnvelopeCase, build_archive, expect_content, write_envelopes
from tests.bench.open.downloads import fetch_all
from tests.bench.open.openers import (
    UNPACKERS,
    EncryptedFile,
    NotOpened,
    Opener,
    Unpacker,
    find_installed,
    find_slow,
    find_unpackers,
)
from tests.bench.report import conclude, parse_arguments, print_line
from tests.unit.stream.officers import officer

DOCUMENT = Path(__file__).parents[3] / "docs" / "OPENING.md"
BEGIN, END = "<!-- written by make bench-open -->", "<!-- end -->"


@dataclass(frozen=True, slots=True)
class Cell:
    """How many of the tries gave equal bytes, and the first reason why one did not."""

    opened: int
    tried: int
    reason: str = ""

    def __str__(self) -> str:
        if self.opened == self.tried:
            return "yes"
        return "no" if not self.opened else f"{self.opened} of {self.tried}"


Row = tuple[str, str, Mapping[str, Cell]]
"""A name, a version and the cells by case."""


def try_envelopes(opener: Opener) -> Mapping[str, Cell]:
    """Open every file of every case with the key of each recipient."""
    return {case.name: _try_case(opener, case) for case in ENVELOPES}


def _try_case(opener: Opener, case: EnvelopeCase) -> Cell:
    opened, tried, reason = 0, 0, ""
    for name in case.recipients:
        with tempfile.TemporaryDirectory(prefix="sluice-open-") as folder:
            for path, content in write_envelopes(case, Path(folder)):
                tried += 1
                try:
                    is_equal = opener.open(EncryptedFile(path, case.cipher, officer(name))) == content
                    reason = reason or ("" if is_equal else "other bytes")
                    opened += is_equal
                except NotOpened as refused:
                    reason = reason or _last_line(str(refused))
    return Cell(opened, tried, reason)


def try_archives(unpacker: Unpacker) -> Mapping[str, Cell]:
    """Unpack every archive."""
    cells = {}
    for case in ARCHIVES:
        with tempfile.TemporaryDirectory(prefix="sluice-open-") as folder:
            path = Path(folder) / "records.zip"
            path.write_bytes(build_archive(case))
            try:
                is_equal = unpacker.unpack(path) == expect_content(case)
                cells[case.name] = Cell(int(is_equal), 1, "" if is_equal else "other bytes")
            except NotOpened as refused:
                cells[case.name] = Cell(0, 1, _last_line(str(refused)))
    return cells


def _last_line(text: str) -> str:
    return (text.splitlines() or ["no reason given"])[-1][:160]


def format_table(head: str, rows: Sequence[Row]) -> str:
    """Return a table in Markdown."""
    cases = list(rows[0][2])
    lines = [f"| {head} | version | {' | '.join(cases)} |", f"|---|---|{'---|' * len(cases)}"]
    lines += [f"| {name} | {version} | {' | '.join(map(str, cells.values()))} |" for name, version, cells in rows]
    return "\n".join(lines)


def write_document(tables: str) -> None:
    """Replace the tables in docs/OPENING.md."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


def run(folder: Path, *, is_complete: bool) -> tuple[list[Row], list[Row], list[str]]:
    """Try everything that is here and, with `is_complete`, what can be downloaded; return what is absent last."""
    openers, unpackers = find_installed(), find_unpackers()
    absent = [f"{name}: not installed" for name in (*UNPACKERS, "openssl", "gpgsm") if not shutil.which(name)]
    if is_complete:
        fetched = fetch_all(folder)
        openers += find_slow() + fetched[0]
        unpackers += fetched[1]
        absent += fetched[2]
    opened = [(each.name, each.version, try_envelopes(each)) for each in openers]
    return opened, [(each.name, each.version, try_archives(each)) for each in unpackers], absent


def main() -> int:
    """Print tables and figures, and return 1 where a program that must open a file does not."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.open", description=__doc__)
    parser.add_argument("--installed", action="store_true", help="try only what needs no download and is quick")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/OPENING.md")
    given = parse_arguments(parser, OPEN)
    with tempfile.TemporaryDirectory(prefix="sluice-open-") as folder:
        opened, unpacked, absent = run(Path(folder), is_complete=not given.installed)
    tables = f"{format_table('decrypted by', opened)}\n\n{format_table('unpacked by', unpacked)}"
    print_line(tables)
    rows = (*opened, *unpacked)
    for line in [
        f"{name}, {case}: {each.reason}" for name, _, cells in rows for case, each in cells.items() if each.reason
    ]:
        print_line(line)
    for each in absent:
        print_line(f"absent: {each}")
    if given.write:
        write_document(tables)
    failed = find_failures(opened, unpacked)
    for each in failed:
        print_line(f"must open, and does not: {each}")
    figures = {
        "openers": len(opened),
        "unpackers": len(unpacked),
        "tries": sum(cell.tried for _, _, cells in rows for cell in cells.values()),
        "opened": sum(cell.opened for _, _, cells in rows for cell in cells.values()),
        "broken_promises": len(failed),
    }
    conclude(OPEN, figures, is_smallest=given.smallest)
    return 1 if failed else 0


def find_failures(opened: Sequence[Row], unpacked: Sequence[Row]) -> list[str]:
    """Return the cells that rules P2, P3 and P7 promise and that are not so."""
    of_rsa = [case.name for case in ENVELOPES if case.name in {"RSA, one", "RSA, several", "split"}]
    promised = {"sluice decrypt": [case.name for case in ENVELOPES], "openssl smime": of_rsa}
    promised["openssl cms"] = promised["Bouncy Castle (Java)"] = promised["sluice decrypt"]
    failed = [
        f"{name} {version}: {case}"
        for name, version, cells in opened
        for case in promised.get(name, ())
        if cells[case].opened < cells[case].tried
    ]
    return failed + [
        f"{name}: {case}" for name, _, cells in unpacked for case, cell in cells.items() if not cell.opened
    ]


if __name__ == "__main__":
    sys.exit(main())
