"""`make chaos-hostile`: hostile requests of every kind against the running system; the last line is JSON."""

import argparse
import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

from deploy.local.reaper import Reaper
from deploy.local.stack import temporary_folder
from tests.chaos.hostile.floods import flood_with_half_requests, flood_with_streams
from tests.chaos.hostile.report import KINDS, Kind, Report
from tests.chaos.hostile.walks import Walk
from tests.chaos.hostile.zoo import visit_zoo
from tests.chaos.system.world import World, open_world

_CONFIG = Path(__file__).with_name("schemathesis.toml")


async def attack(folder: Path, reaper: Reaper, given: argparse.Namespace) -> dict[str, Any]:
    """Attack the system in every way, and return the report."""
    report = Report()
    async with open_world(folder, reaper) as world:
        walk = await Walk.prepare(world, report)
        await walk.walk_as_stranger()
        await walk.walk_with_roles()
        await walk.walk_with_foreign_ids()
        api = next(each for each in world.members if each.name == "job-api")
        tokens = {"a stranger": None, "an administrator": walk.stranger}
        sizes = [kib << 10 for kib in given.kib]
        await visit_zoo(world.api_url, api, tokens, report, sizes=sizes)
        await flood_with_half_requests(walk, report, given.connections)
        await flood_with_streams(walk, report, given.streams)
        if given.examples:
            await _run_schemathesis(world, walk, report, given.examples)
        for member in world.members:
            if member.service is None or (code := member.service.process.exit_code()) is not None:
                report.note("stopped", f"{member.name} ended with {code}")
    return report.to_dict()


async def _run_schemathesis(world: World, walk: Walk, report: Report, examples: int) -> None:
    """Send what the document allows and what it does not, in sequences too, through the public address."""
    argv = ["-m", "schemathesis.cli", "--config-file", str(_CONFIG), "run", f"{world.api_url}/api/v1/openapi.json"]
    argv += ["-H", f"Authorization: Bearer {walk.stranger}", "--checks", "all", "--max-examples", str(examples)]
    argv += ["--generation-deterministic", "--no-color", "--continue-on-failure"]
    # A live stream has no end to wait for, and logins are limited on purpose.
    argv += ["--exclude-path", "/api/v1/events", "--exclude-path", "/api/v1/session"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *argv, cwd=world.system.folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output = (await process.communicate())[0].decode(errors="replace")
    if found := re.search(r"(\d[\d,]*) (?:generated|passed)", output):
        report.requests += int(found[1].replace(",", ""))
    if process.returncode:
        kind: Kind = "server_errors" if "Server error" in output else "undocumented"
        report.note(kind, f"schemathesis: {output[-6000:]}")


def main() -> int:
    """Attack; return 1 when something gave way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=3_000, help="how many half requests are kept open")
    parser.add_argument("--streams", type=int, default=1_000, help="how many live streams one identity opens")
    parser.add_argument("--kib", type=int, nargs="+", default=[64, 1024], help="sizes of the bodies in the zoo, in KiB")
    parser.add_argument("--examples", type=int, default=12, help="how many examples schemathesis tries of each kind")
    given = parser.parse_args()
    with Reaper() as reaper:
        report = asyncio.run(attack(temporary_folder(reaper, "sluice-hostile-"), reaper, given))
    for name, value in report.items():
        sys.stdout.write(f"{name:>26} {value}\n")
    sys.stdout.write(json.dumps(report) + "\n")
    return int(any(report[kind] for kind in KINDS))


if __name__ == "__main__":
    sys.exit(main())
