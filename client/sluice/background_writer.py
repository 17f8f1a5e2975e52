"""Writes to files in a second thread, so that unpacking and writing go on at the same time."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Self

_WAITING: Final = 8
"""Pieces that may wait to be written; each is at most a few 100 KiB, so memory stays flat."""

Piece = bytes | memoryview
Write = Callable[[Piece], None]


class BackgroundWriter:
    """A thread that writes, one file after another. Use as a context manager; leaving it ends the thread."""

    def __init__(self) -> None:
        self._pieces: queue.Queue[tuple[BinaryIO, Piece] | None] = queue.Queue(_WAITING)
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._write_pieces, name="writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pieces.put(None)
        self._thread.join()

    @contextmanager
    def open(self, path: Path) -> Iterator[Write]:
        """Create a file, and yield the function that writes to it; when left, all of it is written.

        Raises OSError where writing fails, also for a piece that was handed over earlier.
        """
        with path.open("xb") as file:
            yield lambda data: self._write(file, data)
            self._pieces.join()
            self._raise_error()

    def _write(self, file: BinaryIO, data: Piece) -> None:
        self._raise_error()
        self._pieces.put((file, data))

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _write_pieces(self) -> None:
        while (piece := self._pieces.get()) is not None:
            try:
                if self._error is None:
                    piece[0].write(piece[1])
            except (OSError, ValueError) as error:  # ValueError: the file was closed, as unpacking has failed
                self._error = error if isinstance(error, OSError) else OSError(str(error))
            finally:
                self._pieces.task_done()
