"""Generated runs, from a seed: jobs of many characters, each with earlier runs and one whose end is to be estimated."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

KINDS = (
    "constant",
    "noisy",
    "slow start",
    "slow end",
    "silent tail",
    "steps",
    "stalls",
    "wrong total",
    "straggler",
    "pause",
    "decaying",
    "coarse",
    "mix",
)
STEPS = 400


@dataclass(frozen=True, slots=True)
class Event:
    """A progress event with the fields of a `ProgressSample`."""

    run_id: str
    ts: float
    units_done: int
    units_total: int | None
    bytes: int
    slices: list[tuple[int, int]] | None = None
    phase: str = "export"


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier run with the fields of an `EarlierRun`."""

    run_id: str
    started_at: float
    duration: float
    units_total: int
    bytes: int
    status: str
    curve: list[float]


@dataclass(frozen=True, slots=True)
class Trace:
    """A run whose end is to be estimated, with its job's earlier runs; times in seconds."""

    kind: str
    earlier: list[Earlier]
    events: list[Event]
    started_at: float
    duration: float


@dataclass(frozen=True, slots=True)
class Character:
    """What a job's runs have in common."""

    kinds: frozenset[str]
    duration: float
    units: int
    spread: float
    noise: float
    bend: float
    tail: float
    steps: list[tuple[float, float]]
    stalls: float
    wrong: float
    slices: int
    batch: int


def generate_traces(count: int, seed: int) -> list[Trace]:
    """Return `count` traces, kinds in turn, with 0 to 20 earlier runs (a third of the traces without any)."""
    chance = random.Random(seed)
    return [_trace(KINDS[number % len(KINDS)], chance) for number in range(count)]


def _trace(kind: str, chance: random.Random) -> Trace:
    character = _character(kind, chance)
    start = 1_700_000_000.0
    earlier: list[Earlier] = []
    for number in range(chance.choice([0, 0, 0, 1, 2, 3, 5, 10, 20])):
        start += 86_400
        events, duration, units = _run(character, chance, start)
        curve = _curve(events, start, duration, units)
        earlier.append(Earlier(f"run-{number}", start, duration, units, units * 1300, "succeeded", curve))
    start += 86_400
    events, duration, _ = _run(character, chance, start)
    return Trace(kind, earlier, events, start, duration)


def _character(kind: str, chance: random.Random) -> Character:
    kinds = frozenset(chance.sample(KINDS[1:-1], 3) if kind == "mix" else [kind])
    steps = [(chance.uniform(0.1, 0.9), chance.uniform(0.25, 3.0)) for _ in range(chance.randint(1, 3))]
    duration = math.exp(chance.uniform(math.log(2), math.log(86_400)))
    return Character(
        kinds=kinds,
        duration=duration,
        units=int(duration * math.exp(chance.uniform(math.log(200), math.log(50_000)))) + 10,
        spread=chance.choice([0.03, 0.1, 0.2, 0.4]),
        noise=chance.uniform(0.2, 0.6) if "noisy" in kinds else chance.uniform(0.01, 0.1),
        bend=_bend(kinds, chance),
        tail=chance.uniform(0.05, 0.35) if "silent tail" in kinds else chance.choice([0.0, 0.0, 0.01, 0.02]),
        steps=sorted(steps) if "steps" in kinds else [],
        stalls=chance.uniform(0.02, 0.12) if "stalls" in kinds else 0.0,
        wrong=chance.choice([-1, 1]) * chance.uniform(0.15, 0.5) if "wrong total" in kinds else 0.0,
        slices=chance.randint(3, 8) if "straggler" in kinds else 0,
        batch=chance.randint(8, 40) if "coarse" in kinds else 0,
    )


def _bend(kinds: frozenset[str], chance: random.Random) -> float:
    """Return the exponent of the rate in the fraction done: above 0 the rate rises, below 0 it falls."""
    if "slow start" in kinds:
        return chance.uniform(0.5, 2.0)
    if "slow end" in kinds or "decaying" in kinds:
        return -chance.uniform(0.5, 2.0)
    return 0.0


def _run(job: Character, chance: random.Random, start: float) -> tuple[list[Event], float, int]:
    """Return a run's events, its duration and its units."""
    size = math.exp(chance.gauss(0, job.spread))
    units = max(10, int(job.units * size))
    worked = max(1.0, job.duration * size * math.exp(chance.gauss(0, 0.08 + job.spread / 3)))
    fractions, times = _pace(job, chance, worked)
    if job.slices:
        return _sliced(job, chance, start, (units, worked))
    tail = worked * job.tail * math.exp(chance.gauss(0, 0.15))
    duration = times[-1] + tail
    every = max(0.25 if duration < 20 else 1.0, duration / STEPS)
    wrong_until = chance.uniform(0.1, 0.6) * times[-1]
    reported = max(1, int(units * (1 + job.wrong * chance.uniform(0.7, 1.3))))
    events, at = [], every * chance.uniform(0.1, 1.0)
    fraction_at = _interpolation(times, fractions)
    while at < duration:
        done = int(units * fraction_at(min(at, times[-1])))
        if job.batch:
            done = done * job.batch // units * units // job.batch
        total = reported if job.wrong and at < wrong_until else units
        phase = "export" if at <= times[-1] else "store"
        events.append(Event("run", start + at, min(done, total), total, done * 1300, None, phase))
        at += every * (1.0 if chance.random() < 0.9 else chance.uniform(1.0, 3.0))
    return events, duration, units


def _pace(job: Character, chance: random.Random, worked: float) -> tuple[list[float], list[float]]:
    """Return fractions done and when they were reached, from the rate's shape, noise, steps, stalls and pauses."""
    drift, rates = 0.0, []
    for step in range(STEPS):
        fraction = step / STEPS
        drift = 0.9 * drift + chance.gauss(0, job.noise * 0.436)
        rate = math.exp(drift) * (0.15 + fraction) ** job.bend if job.bend > 0 else math.exp(drift)
        if job.bend < 0:
            rate *= (1.15 - fraction) ** -job.bend
        for place, factor in job.steps:
            rate *= factor if fraction >= place else 1.0
        rates.append(rate)
    spent = [1.0 / rate for rate in rates]
    scale = worked / sum(spent)
    pause_at = chance.randrange(40, 360) if "pause" in job.kinds else -1
    times, fractions = [0.0], [0.0]
    for step, each in enumerate(spent):
        pause = worked * chance.uniform(0.1, 0.6) if step == pause_at else 0.0
        if job.stalls and chance.random() < job.stalls / 2:
            pause += worked * chance.expovariate(1 / 0.02)
        if pause:
            times.append(times[-1] + pause)
            fractions.append(fractions[-1])
        times.append(times[-1] + each * scale)
        fractions.append((step + 1) / STEPS)
    return fractions, times


def _sliced(
    job: Character, chance: random.Random, start: float, run: tuple[int, float]
) -> tuple[list[Event], float, int]:
    """Return a shared run: slices of similar sizes in parallel, one of them slow."""
    units, worked = run
    totals = [int(units / job.slices * chance.uniform(0.8, 1.2)) + 1 for _ in range(job.slices)]
    ends = [worked * chance.uniform(0.5, 0.8) for _ in totals]
    ends[chance.randrange(job.slices)] = worked
    duration = worked * 1.01
    every = max(0.25 if duration < 20 else 1.0, duration / STEPS)
    events, at = [], every * chance.uniform(0.1, 1.0)
    while at < duration:
        slices = [(int(total * min(1.0, at / end)), total) for total, end in zip(totals, ends, strict=True)]
        done = sum(each for each, _ in slices)
        events.append(Event("run", start + at, done, sum(totals), done * 1300, slices))
        at += every
    return events, duration, sum(totals)


def _curve(events: list[Event], start: float, duration: float, units: int) -> list[float]:
    reached, place = [], 0
    for step in range(21):
        while place < len(events) and events[place].units_done < units * step / 20:
            place += 1
        ts = events[place].ts if place < len(events) else start + duration
        reached.append(0.0 if step == 0 else (ts - start) / duration)
    return reached


def _interpolation(xs: list[float], ys: list[float]) -> Callable[[float], float]:
    place = 0

    def at(x: float) -> float:
        nonlocal place
        while place < len(xs) - 2 and xs[place + 1] < x:
            place += 1
        span = xs[place + 1] - xs[place]
        return ys[place] + (ys[place + 1] - ys[place]) * min(1.0, (x - xs[place]) / span) if span > 0 else ys[place]

    return at


def without_earlier_runs(trace: Trace) -> Trace:
    """Return the same run as its job's first one."""
    return replace(trace, earlier=[])
