"""`python -m deploy.local demo | up | status | clean`: the local stack from the command line."""

import argparse
import sys
import time
from pathlib import Path

from deploy.local.demo import demo
from deploy.local.errors import LocalError
from deploy.local.folders import state_folder
from deploy.local.ownership import Ownership, stop_orphans
from deploy.local.processes import stop_process
from deploy.local.stack import Stack, running_stack
from deploy.local.state import State


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
    """Run the system until Ctrl-C or SIGTERM; its data stays in the state's folder."""
    began = time.monotonic()
    try:
        with running_stack(state, interactions=interactions, port=port) as stack:
            print(_welcome(stack, state, time.monotonic() - began), flush=True)
            stack.wait()
    except KeyboardInterrupt:
        print(f"\nStopped. What it holds is in {state.folder}; `make clean-local` removes it.")


def status(state: State) -> int:
    """Say whether the system runs, and where; return 0 when it does, else 3."""
    found = state.announcement() if state.is_held() else None
    print(f"Sluice runs at {found.address} (process {found.process})." if found else "Sluice does not run.")
    return 0 if found else 3


def clean(state: State) -> None:
    """Stop a system that runs over the state's folder, and remove the folder."""
    found = state.announcement()
    if state.is_held() and found is not None:
        print(f"Stopping process {found.process}", flush=True)
        stop_process(found.process, grace=60)
    if not state.folder.exists():
        print("There is nothing to remove.")
        return
    stop_orphans(state.parts)
    with state.locked(), Ownership(state.kafka, "Kafka").taking(), Ownership(state.postgres, "PostgreSQL").taking():
        state.remove()
    print(f"Removed {state.folder}.")


def _welcome(stack: Stack, state: State, seconds: float) -> str:
    lines = [f"Sluice runs at {stack.api_url} ({seconds:.0f} s). Stop it with Ctrl-C."]
    if stack.login is None:
        lines.append("Log in with the password that was printed at the first start.")
    else:
        lines.append(f"Log in as {stack.login.user}, tenant {stack.login.tenant}, password {stack.login.password}")
        lines.append(f"API key: {stack.login.api_key}   (password and key are not shown again)")
    lines.append(f"Logs: {stack.logs}   Data: {state.folder}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description="Sluice on this machine.")
    parser.add_argument("--state", type=Path, help="the folder to keep everything in (default: the checkout's own)")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("up", help="run the whole system until Ctrl-C")
    command.add_argument("--port", type=int, help="the page's port (default: the last one, else 8080, else a free one)")
    for each in (command, commands.add_parser("demo", help="run one export from start to finish, and stop again")):
        each.add_argument("--interactions", type=int, help="size of the sample (default 200,000)")
    commands.add_parser("status", help="say whether it runs, and where")
    commands.add_parser("clean", help="stop what runs and remove all it kept")
    return parser


if __name__ == "__main__":
    sys.exit(main())
