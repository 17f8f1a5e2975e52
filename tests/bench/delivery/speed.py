"""The speed of one large file, beside `rclone copy` and `sftp put`, and the memory of the deliverer."""

import argparse
import asyncio
import os
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from shared import events
from tests.bench.delivery.stage import Stage
from tests.bench.report import print_line
from tests.support.deliveries import get_object_name
from tests.support.system import Service
from tests.support.wait import eventually

_MIB = 1024 * 1024
_FILE = "large.zip.p7m"
_SETTINGS = {"BANDWIDTH": str(100_000 * _MIB)}


async def measure(stage: Stage, arguments: argparse.Namespace) -> dict[str, float]:
    """Return how many times as fast as its peers a delivery is, and the deliverer's highest resident size, MiB."""
    for program in ("rclone", "sftp"):
        if shutil.which(program) is None:
            raise SystemExit(f"the peer {program} is not installed: apt-get install rclone openssh-client")
    to_s3, to_sftp = stage.make_s3(stage.s3.tls_endpoint), stage.make_sftp()
    await stage.deliveries.admit(to_s3, to_sftp)
    deliverer = stage.deliveries.start_deliverer("deliverer-1", **_SETTINGS)
    await deliverer.wait_ready()
    content = os.urandom(_MIB) * arguments.mib
    source = stage.deliveries.store / "peer.bin"
    source.write_bytes(content)
    ours: dict[str, list[float]] = {"s3": [], "sftp": []}
    peers: dict[str, list[float]] = {"s3": [], "sftp": []}
    for number in range(arguments.rounds):
        turns: list[tuple[list[float], Callable[[], Awaitable[float]]]] = [
            (ours["s3"], lambda: _deliver(stage, to_s3, content)),
            (peers["s3"], lambda n=number: _copy_with_rclone(stage, source, n)),  # type: ignore[misc]
            (ours["sftp"], lambda: _deliver(stage, to_sftp, content)),
            (peers["sftp"], lambda n=number: _put_with_sftp(stage, source, n)),  # type: ignore[misc]
        ]
        # Each round begins with another one.
        for seconds, turn in turns[number % 4 :] + turns[: number % 4]:
            seconds.append(await turn())
    for kind, found in ours.items():
        rate, peer = (arguments.mib / statistics.median(each) for each in (found, peers[kind]))
        print_line(f"{kind}: {rate:.0f} MiB/s, its peer {peer:.0f} MiB/s")
    return {
        "vs_peer_s3": statistics.median(peers["s3"]) / statistics.median(ours["s3"]),
        "vs_peer_sftp": statistics.median(peers["sftp"]) / statistics.median(ours["sftp"]),
        "rss_mib": _read_peak_mib(deliverer),
    }


async def _deliver(stage: Stage, destination: events.DestinationSaved, content: bytes) -> float:
    run = await stage.deliveries.make_run([destination.destination_id], {_FILE: content})
    started = time.monotonic()
    await stage.deliveries.admit(run)
    await eventually(lambda: stage.deliveries.are_delivered(run), timeout=3600)
    seconds = time.monotonic() - started
    name = get_object_name(run, _FILE)
    if destination.kind == "sftp":
        (stage.folder / name).unlink()
    else:
        stage.s3.call("DELETE", f"/{stage.bucket}/in/{name}")
    (stage.deliveries.store / "runs" / str(run.run_id) / "1" / _FILE).unlink()
    return seconds


async def _copy_with_rclone(stage: Stage, source: Path, number: int) -> float:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(source.parent),
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_THEIRS_TYPE": "s3",
        "RCLONE_CONFIG_THEIRS_PROVIDER": "Other",
        "RCLONE_CONFIG_THEIRS_ENDPOINT": stage.s3.tls_endpoint,
        "RCLONE_CONFIG_THEIRS_ACCESS_KEY_ID": stage.s3.access_key,
        "RCLONE_CONFIG_THEIRS_SECRET_ACCESS_KEY": stage.s3.secret_key,
        "RCLONE_CA_CERT": str(stage.deliveries.ca),
    }
    name = f"theirs:{stage.bucket}/peer-{number}/peer.bin"
    seconds = await asyncio.to_thread(_time, ["rclone", "copyto", str(source), name], environment)
    stage.s3.call("DELETE", f"/{stage.bucket}/peer-{number}/peer.bin")
    return seconds


async def _put_with_sftp(stage: Stage, source: Path, number: int) -> float:
    key = stage.ssh.folder / "client_key"
    key.touch(mode=0o600)
    key.write_text(stage.ssh.private_key, encoding="utf-8")
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
    argv = ["sftp", "-q", "-i", str(key), "-P", str(stage.ssh.port), *(f"-o{each}" for each in options), "-b", "-"]
    target = stage.folder / f"peer-{number}.bin"
    script = f"put {source} {target}\n"
    environment = {"PATH": os.environ["PATH"]}
    argv.append(f"{stage.ssh.user_name}@127.0.0.1")
    seconds = await asyncio.to_thread(_time, argv, environment, script)
    target.unlink()
    return seconds


def _time(argv: list[str], environment: dict[str, str], script: str = "") -> float:
    started = time.monotonic()
    subprocess.run(argv, env=environment, input=script, text=True, check=True, capture_output=True)
    return time.monotonic() - started


def _read_peak_mib(service: Service) -> float:
    status = Path(f"/proc/{service.process.pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024
