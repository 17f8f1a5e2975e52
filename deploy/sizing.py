"""The table of sizes in OPERATIONS.md, worked out from `sizing.toml`: `python -m deploy.sizing` writes it anew."""

import re
import tomllib
from math import ceil
from pathlib import Path

GUIDE = Path(__file__).with_name("OPERATIONS.md")
FIGURES = Path(__file__).with_name("sizing.toml")
SLOTS = (1, 10, 100, 1000)
HEAD = ("", *(f"{slots:,} run{'s' if slots > 1 else ''} at once" for slots in SLOTS))
_BLOCK = re.compile(r"(<!-- made by: python -m deploy\.sizing.*?-->\n).*?(<!-- end -->)", re.DOTALL)


def table() -> str:
    """Return the table in Markdown: what so many runs at once need and give."""
    columns = [_column(slots) for slots in SLOTS]
    rows = [HEAD, ("---",) * len(HEAD), *((name, *(column[name] for column in columns)) for name in columns[0])]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def with_table(guide: str) -> str:
    """Return the guide with the table as it is today."""
    return _BLOCK.sub(lambda found: f"{found[1]}{table()}\n{found[2]}", guide)


def _column(slots: int) -> dict[str, str]:
    figures = tomllib.loads(FIGURES.read_text(encoding="utf-8"))
    exporter, postgres, store = figures["exporter"], figures["postgres"], figures["store"]
    each = min(slots, exporter["slots_per_process"]) if slots > 10 else 1
    processes = ceil(slots / each)
    pool = postgres["pool_of_many"] if processes > 10 else postgres["pool"]
    others = postgres["other_processes"] * (postgres["pool"] + postgres["listeners"])
    records = slots * exporter["records_mb_per_s"]
    packed = records / exporter["packed_ratio"]
    uploads = packed * 1e6 / store["upload_bytes"]
    messages = slots * figures["kafka"]["messages_per_run_per_s"]
    return {
        "exporters x slots": f"{processes:,} x {each}",
        "their cores": f"{slots * exporter['cores_per_slot']:,}",
        "their memory": f"{slots * exporter['memory_mib_per_slot'] / 1024:,.1f} GiB",
        "records a second, at most": _bytes(records),
        "to the store a second": _bytes(packed),
        "requests to the store a second": f"{uploads:,.0f}",
        "prefixes (S3) or buckets": f"{ceil(uploads / store['requests_per_s_per_prefix'])}",
        "connections to the source": f"{slots * exporter['source_connections']:,}",
        "connections to PostgreSQL": f"{processes * (pool + postgres['listeners']) + others:,}",
        "messages a second": f"{messages:,}",
        "share of one recorder": f"{messages / figures['history']['recorder_events_per_s']:.2%}",
        "partitions": "12" if slots <= 100 else "24",
    }


def _bytes(megabytes: float) -> str:
    if megabytes < 1000:
        return f"{megabytes:,.0f} MB"
    return f"{megabytes / 1000:,.{0 if megabytes >= 10_000 else 1}f} GB"


if __name__ == "__main__":
    GUIDE.write_text(with_table(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
