"""What must hold of a run that has succeeded, whatever happened to its exporters."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from shared import events
from shared.events.values import FileKind
from tests.integration.exporter.conftest import Exports
from tests.integration.exporter.gates import GatedHistory
from tests.integration.stream.history import parse_line
from tests.support.listener import Listener
from tests.support.wait import eventually

TERMINAL = (events.RunSucceeded, events.RunFailed, events.RunCancelled, events.RunSkipped)
KINDS: tuple[FileKind, ...] = ("interaction", "interaction-attachment")


@dataclass
class Story:
    """The events of one run, as they came."""

    run_id: UUID
    told: list[events.Event] = field(default_factory=list)

    def of(self, kind: type[events.Event]) -> list[events.Event]:
        """Return the events of one kind."""
        return [event for event in self.told if isinstance(event, kind)]

    @property
    def succeeded(self) -> events.RunSucceeded:
        """The success, which is the one end."""
        (end,) = [event for event in self.told if isinstance(event, TERMINAL)]
        assert isinstance(end, events.RunSucceeded), end
        return end


@asynccontextmanager
async def told(
    exports: Exports, run_id: UUID, *, from_beginning: bool = False
) -> AsyncIterator[Callable[[], Awaitable[Story]]]:
    """Hear a run's events from now on; the function that is given reads until the run's end."""
    async with Listener(exports.system.kafka, "sluice.runs", from_beginning=from_beginning) as runs:

        async def story() -> Story:
            found = Story(run_id)
            while not found.told or not isinstance(found.told[-1], TERMINAL):
                event = await runs.find(lambda event: getattr(event, "run_id", None) == run_id)
                # Delivery is at least once: an exporter may be killed between publishing and noting that it has.
                if event not in found.told:
                    found.told.append(event)
            return found

        yield story


async def prove(exports: Exports, history: GatedHistory, story: Story) -> dict[str, Any]:
    """Compare a run's files with the source, and all that is told of them with each other; return the manifest."""
    succeeded = story.succeeded
    manifest: dict[str, Any] = json.loads((exports.store / succeeded.manifest).read_text())
    files = succeeded.files
    listed = manifest["files"]
    assert [each["name"] for each in listed] == [file.name for file in files]
    assert manifest["snapshots"] == list(dict.fromkeys(each["snapshot"] for each in listed))
    shown = {succeeded.manifest, *(file.object for file in files)}
    # What lost tokens left behind is swept after the run's end.
    await eventually(lambda: set(exports.objects(story.run_id)) == shown)
    for kind in KINDS:
        mine = [file for file in files if file.kind == kind]
        numbers = [file.part for file in mine]
        assert numbers in ([None], list(range(1, len(mine) + 1))), "part numbers are contiguous (P1)"
        records = [line for file in mine for line in exports.lines(exports.store / file.object)]
        assert len(records) == sum(file.rows for file in mine)
        assert [parse_line(line) for line in records] == await history.records(kind)
    numbered = [(event.token, event.seq) for event in story.told if isinstance(event, events.RunEvent)]
    assert numbered == sorted(set(numbered))
    assert len(story.of(events.PartFinished)) == len(files), "no finished part was made again (R3)"
    ends = await exports.system.fetch(
        "exporter", "SELECT state FROM run WHERE run_id = $1 AND ended_at IS NOT NULL", story.run_id
    )
    assert [row["state"] for row in ends] == ["succeeded"]
    return manifest
