"""What can be wrong with a machine, said so that a person can hint it."""

from pathlib import Path


class LocalError(Exception):
    """The local stack cannot do what was asked; the text is one line, and `hint` the command that helps."""

    def __init__(self, problem: str, *, hint: str = "", log: Path | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        # Read at once: a stack in a temporary folder is gone before its error is shown.
        self._last_lines = "" if log is None else f"\nlast lines of {log}:\n{tail(log)}"

    def __str__(self) -> str:
        return (f"{self.problem}; {self.hint}" if self.hint else self.problem) + self._last_lines


def tail(log: Path, *, lines: int = 20) -> str:
    """Return the last lines of a log, indented by two; an absent or empty one is said to be so."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 64 * 1024))
            found = file.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return "  (it was never written)"
    return "\n".join(f"  {line}" for line in found) if found else "  (it is empty)"
