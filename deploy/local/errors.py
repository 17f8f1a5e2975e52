"""The local stack's error: what is wrong with the machine, and the command that helps."""

from pathlib import Path


class LocalError(Exception):
    """The local stack cannot do what was asked: one line of text, and `hint`, the command that helps."""

    def __init__(self, problem: str, *, hint: str = "", log: Path | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        # Read at once: a stack in a temporary folder is removed before its error is printed.
        self._last_lines = "" if log is None else f"\nlast lines of {log}:\n{read_tail(log)}"

    def __str__(self) -> str:
        return (f"{self.problem}; {self.hint}" if self.hint else self.problem) + self._last_lines


def read_tail(log: Path, *, lines: int = 20) -> str:
    """Return the last lines of a log, indented by two, or a remark where the log is missing or empty."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 64 * 1024))
            found = file.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return "  (the log does not exist)"
    return "\n".join(f"  {line}" for line in found) if found else "  (the log is empty)"
