"""The worker processes of the sample's generator."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
FIRST_BATCH_THEN_WAIT = """
import asyncio, multiprocessing
from deploy.sample.encode import iterate_batches

async def main():
    async for _ in iterate_batches(seed=1, interactions=20_000, tenants=2, workers=2):
        print(len(multiprocessing.active_children()), "workers", flush=True)
        await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(FIRST_BATCH_THEN_WAIT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "2 workers\n"
        parent.send_signal(signal.SIGKILL)
        # The workers have the pipe open too, so it ends when they do.
        assert parent.communicate(timeout=60)[0] == ""
