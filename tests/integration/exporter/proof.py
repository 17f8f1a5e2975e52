"""What is true of every run that has succeeded, whatever happened to its exporters."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from shared import events
from shared.events import Event
from shared.events.values import FileKind
from tests.integration.exporter.conftest import ExportSystem
from tests.integration.exporter.gates import GatedHistory
from tests.integration.stream.history import parse_line
from tests.support.listener import Listener
from tests.support.wait import eventually

TERMINAL = (events.RunSucceeded, events.RunFailed, events.RunCancelled, events.RunSkipped)
KINDS: tuple[FileKind, ...] = ("interaction", "interaction-attachment")


@dataclass
class RunEvents:
    """The events of one run, in the order of their arrival."""

    run_id: UUID
    received: list[Event] = field(default_factory=list)

    def of_type(self, kind: type[Event]) -> list[Event]:
        """Return the events of one type."""
        return [event for event in self.received if isinstance(event, kind)]

    @property
    def succeeded(self) -> events.RunSucceeded:
        """The run's success, which is its only terminal event."""
        (end,) = [event for event in self.received if isinstance(event, TERMINAL)]
        assert isinstance(end, events.RunSucceeded), end
        return end


@asynccontextmanager
async def follow_run(
    exports: ExportSystem, run_id: UUID, *, from_beginning: bool = False
) -> AsyncIterator[Callable[[], Awaitable[RunEvents]]]:
    """Follow a run's events from now on; the yielded function reads until the run's end."""
    async with Listener(exports.system.kafka, "sluice.runs", from_beginning=from_beginning) as runs:

        async def read_to_end() -> RunEvents:
            found = RunEvents(run_id)
            while not found.received or not isinstance(found.received[-1], TERMINAL):
                event = await runs.find(lambda event: getattr(event, "run_id", None) == run_id)
                # Delivery is at least once: an exporter may be killed between publishing an event and marking it as
                # published.
                if event not in found.received:
                    found.received.append(event)
            return found

        yield read_to_end


def check_members(exports: ExportSystem, manifest: Mapping[str, Any], files: Sequence[events.ExportedFile]) -> None:
    """Check that the manifest names the files' members, and that those of one slice are named like the files (P2)."""
    for listed, file in zip(manifest["files"], files, strict=True):
        with exports.open_archive(exports.store / file.object) as archive:
            assert archive.namelist()[0] == listed["member"]
    slices = {file.object.rsplit("/", 2)[1].rpartition(".")[0] for file in files if file.kind == "interaction"}
    if len(slices) == 1:
        stems = {each["member"].removesuffix(".jsonl") for each in manifest["files"] if each["kind"] == "interaction"}
        assert stems == {file.name.removesuffix(".zip.p7m") for file in files if file.kind == "interaction"}


async def check_run(exports: ExportSystem, history: GatedHistory, story: RunEvents) -> dict[str, Any]:
    """Compare a run's files with the source, and its events and manifest with the files; return the manifest."""
    succeeded = story.succeeded
    manifest: dict[str, Any] = json.loads((exports.store / succeeded.manifest).read_text())
    files = succeeded.files
    listed = manifest["files"]
    assert [each["name"] for each in listed] == [file.name for file in files]
    check_members(exports, manifest, files)
    assert manifest["snapshots"] == list(dict.fromkeys(each["snapshot"] for each in listed))
    visible = {succeeded.manifest, *(file.object for file in files)}
    # Objects of lost tokens are swept after the run's end.
    await eventually(lambda: set(exports.list_objects(story.run_id)) == visible)
    for kind in KINDS:
        files_of_kind = [file for file in files if file.kind == kind]
        numbers = [file.part for file in files_of_kind]
        assert numbers in ([None], list(range(1, len(files_of_kind) + 1))), "part numbers are contiguous (P1)"
        records = [line for file in files_of_kind for line in exports.read_lines(exports.store / file.object)]
        assert len(records) == sum(file.rows for file in files_of_kind)
        assert [parse_line(line) for line in records] == await history.records(kind)
    numbered = [(event.token, event.seq) for event in story.received if isinstance(event, events.RunEvent)]
    assert numbered == sorted(set(numbered))
    assert len(story.of_type(events.PartFinished)) == len(files), "no finished part was exported again (R3)"
    ends = await exports.system.fetch(
        "exporter", "SELECT state FROM run WHERE run_id = $1 AND ended_at IS NOT NULL", story.run_id
    )
    assert [row["state"] for row in ends] == ["succeeded"]
    return manifest
