"""`python -m deploy.local demo | up | status | clean`: the local stack from the command line."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from deploy.local.demo import demo
from deploy.local.errors import LocalError
from deploy.local.folders import state_folder
from deploy.local.reaper import PAUSE
from deploy.local.stack import Stack, run_stack
from deploy.local.state import State

STOP_LIMIT = 60
"""How long a running system may take to stop, in seconds."""


def main() -> int:
    """Run the command line; return the exit code."""
    arguments = _parser().parse_args()
    state = State(arguments.state.absolute() if arguments.state else state_folder())
    try:
        if arguments.command == "demo":
            demo(interactions=arguments.interactions)
        elif arguments.command == "up":
            up(state, interactions=arguments.interactions, port=arguments.port)
        elif arguments.command == "status":
            return status(state)
        else:
            clean(state)
    except (LocalError, OSError) as error:
        print(f"sluice: {error}", file=sys.stderr)
        return 1
    return 0


def up(state: State, *, interactions: int | None, port: int | None) -> None:
    """Run the system until Ctrl-C or SIGTERM; its data stays in the state's folder. Raises LocalError when it fails."""
    began = time.monotonic()
    try:
        with run_stack(state, interactions=interactions, port=port) as stack:
            print(_welcome(stack, state, time.monotonic() - began), flush=True)
            stack.wait()
    except KeyboardInterrupt:
        print(f"\nStopped. Its data is in {state.folder}; `make clean-local` removes it.")


def status(state: State) -> int:
    """Print whether the system is running, and where; return 0 when it is, else 3."""
    stack = state.find_running()
    print(f"Sluice is running at {stack.address} (process {stack.process})." if stack else "Sluice is not running.")
    return 0 if stack else 3


def clean(state: State) -> None:
    """Stop a system that uses the state's folder, and remove the folder. Raises LocalError when it cannot."""
    if not state.folder.exists():
        print("There is nothing to remove.")
        return
    stack = state.find_running()
    if stack is not None:
        print(f"Stopping process {stack.process}", flush=True)
        os.kill(stack.process, signal.SIGTERM)
        until = time.monotonic() + STOP_LIMIT
        while state.is_locked() and time.monotonic() < until:
            time.sleep(PAUSE)
    with state.lock():
        state.remove()
    print(f"Removed {state.folder}.")


def _welcome(stack: Stack, state: State, seconds: float) -> str:
    lines = [f"Sluice is running at {stack.api_url} (started in {seconds:.0f} s). Stop it with Ctrl-C."]
    if stack.login is None:
        lines.append("Log in with the password that was printed at the first start.")
    else:
        lines.append(f"Log in as {stack.login.user}, tenant {stack.login.tenant}, password {stack.login.password}")
        lines.append(f"API key: {stack.login.api_key}   (the password and the key are not shown again)")
    lines.append(f"Logs: {stack.logs}   Data: {state.folder}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description="Run Sluice on this machine.")
    parser.add_argument("--state", type=Path, help="the folder for all data (default: the checkout's own)")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("up", help="run the whole system until Ctrl-C")
    command.add_argument(
        "--port", type=int, help="the port of the pages (default: the last one, else 8080, else a free one)"
    )
    for each in (command, commands.add_parser("demo", help="run one export from start to finish, and stop")):
        each.add_argument("--interactions", type=int, help="size of the sample (default 200,000)")
    commands.add_parser("status", help="print whether it is running, and where")
    commands.add_parser("clean", help="stop it and remove its data")
    return parser


if __name__ == "__main__":
    sys.exit(main())
