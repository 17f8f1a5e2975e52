"""Instants, durations, sizes and counts as pages show them."""

from datetime import datetime
from functools import lru_cache

from markupsafe import Markup

from job_api.store.jobs import RunEstimate

INSTANTS_CACHED = 4096
"""Rendered instants kept in memory, about 200 bytes each: lists show the same few again and again."""


def format_instant(instant: datetime) -> str:
    """Return an instant to the minute, with its zone. Expects UTC."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def format_instant_seconds(instant: datetime) -> str:
    """Return an instant to the second, with its zone. Expects UTC."""
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


@lru_cache(maxsize=INSTANTS_CACHED)
def render_instant(instant: datetime) -> Markup:
    """Return an instant as a `time` element with an empty line, which the script fills with the viewer's local time."""
    return Markup('<time datetime="{}">{}<small class="local-time"></small></time>').format(
        instant.isoformat(), format_instant(instant)
    )


def format_rough_duration(seconds: float) -> str:
    """Return a duration with one unit, rounded: 42 s, 3 min, 2.0 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def format_duration(seconds: float | None) -> str:
    """Return a duration with up to two units: 4.2 s, 3 min 10 s, 2 h 5 min; empty for None."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def format_time_remaining(estimate: RunEstimate | None) -> str:
    """Return an estimate of the time remaining: the median, with its 10 % to 90 % band."""
    if estimate is None:
        return "Time remaining is not known yet"
    shortest, longest = format_rough_duration(estimate.low), format_rough_duration(estimate.high)
    if shortest.partition(" ")[2] == longest.partition(" ")[2]:
        shortest = shortest.partition(" ")[0]
    return f"About {format_rough_duration(estimate.seconds)} remaining ({shortest} to {longest})"


def format_size(size: float) -> str:
    """Return a number of bytes in binary units: 512 bytes, 1.5 KiB, 36.0 MiB."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def format_count(count: int, singular: str, plural: str | None = None) -> str:
    """Return a count with its noun: 1 file, 1,204 files."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def capitalize(sentence: str) -> str:
    """Return a sentence with its first letter in upper case and the rest untouched."""
    return sentence[:1].upper() + sentence[1:]
