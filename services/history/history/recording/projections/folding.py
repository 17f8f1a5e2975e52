"""What of a batch need not be applied: each progress and each estimate of a run supersedes the ones before."""

from collections.abc import Iterable

from history.recording.projections.apply import LogEvent
from shared import events


def folded(told: Iterable[LogEvent]) -> list[LogEvent]:
    """Return the events without progress and estimates that others of them supersede, those last; the log they give is
    the same.

    That is so because of two progresses of a run the one with the greater (token, seq) wins, whatever else is applied
    between them, and where the greater is refused as stale or too late, the smaller is too.
    """
    lives: list[LogEvent] = []
    progress: dict[int, events.RunProgressed] = {}
    estimates: dict[int, events.RunEstimated] = {}
    for event in told:
        if type(event) is events.RunProgressed:
            known = progress.get(place := event.run_id.int)
            if known is None or (event.token, event.seq) > (known.token, known.seq):
                progress[place] = event
        elif type(event) is events.RunEstimated:
            said = estimates.get(place := event.run_id.int)
            if said is None or (event.token, event.seq) > (said.token, said.seq):
                estimates[place] = event
        else:
            lives.append(event)
    return [*lives, *progress.values(), *estimates.values()]
