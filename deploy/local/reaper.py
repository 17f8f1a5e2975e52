"""Stops what its owner started, when the owner is gone: run as a program of its own, needs the standard library only.

It reads lines of JSON from its standard input, which only its owner holds open: `{"add": pid, "rank": 2, "signal": 15,
"grace": 20}`, `{"forget": pid}`, `{"folder": path}`. When the input ends, because the owner closed it or was killed, it
stops what is left, the highest rank first, waits for each rank as long as it was told, kills what still runs, and
removes the folders.
"""

import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from typing import Any


def start_time(pid: int) -> str | None:
    """Return when a process began, in the system's own unit; None when it has ended (a zombie has), "" when untold."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - starts quicker
            fields = file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return _alive_elsewhere(pid)
    return None if fields[0] in {"Z", "X"} else fields[19]


def _alive_elsewhere(pid: int) -> str | None:
    if os.path.isdir("/proc/self"):  # noqa: PTH112
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""


def end(pid: int, signal_number: int, *, group: bool) -> None:
    """Send a signal to a process, or to its whole group; one that is gone already is none of our business."""
    with suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, signal_number)


def stop_all(charges: dict[int, dict[str, Any]]) -> None:
    """Stop the charges, the highest rank first."""
    for rank in sorted({charge["rank"] for charge in charges.values()}, reverse=True):
        mine = {pid: charge for pid, charge in charges.items() if charge["rank"] == rank}
        running = {pid: charge for pid, charge in mine.items() if charge["start_time"] == start_time(pid)}
        for pid, charge in running.items():
            end(pid, charge["signal"], group=False)
        limit = time.monotonic() + max((charge["grace"] for charge in running.values()), default=0)
        while time.monotonic() < limit and any(
            charge["start_time"] == start_time(pid) for pid, charge in running.items()
        ):
            time.sleep(0.05)
        for pid in running:
            end(pid, signal.SIGKILL, group=True)


def main() -> None:
    """Follow the owner's lines until there are no more; then clean up."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    charges: dict[int, dict[str, Any]] = {}
    folders: list[str] = []
    for line in sys.stdin:
        try:
            order = json.loads(line)
        except ValueError:
            continue  # the owner was killed in the middle of a line
        if "add" in order:
            charges[order["add"]] = order | {"start_time": start_time(order["add"])}
        elif "forget" in order:
            charges.pop(order["forget"], None)
        elif "folder" in order:
            folders.append(order["folder"])
    stop_all(charges)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
