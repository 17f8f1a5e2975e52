"""Owners: programs that start servers as the local stack does, to be killed by the test."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.folders import CHECKOUT
from tests.integration.local.programs import OWNER


@dataclass
class Owner:
    """A program that has started one child process: itself, and the ids of the child and of its reaper."""

    process: subprocess.Popen[str]
    child: int
    reaper: int


StartOwner = Callable[[str, Path], Owner]


@pytest.fixture
def start_owner() -> Iterator[StartOwner]:
    """Return a function that starts an owner ("kafka", "postgres", "program") over a folder."""
    started: list[subprocess.Popen[str]] = []

    def start(what: str, folder: Path) -> Owner:
        argv = [sys.executable, "-c", OWNER, what, str(folder)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT, start_new_session=True)
        started.append(process)
        assert process.stdout is not None
        # Before that line it may print that it downloads Kafka.
        child, reaper = next(line for line in process.stdout if line[0].isdigit()).split()
        return Owner(process, int(child), int(reaper))

    yield start
    for process in started:
        process.kill()
        process.wait()
