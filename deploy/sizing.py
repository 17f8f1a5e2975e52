"""The table of sizes in OPERATIONS.md, calculated from `sizing.toml`: `python -m deploy.sizing` rewrites it."""

import re
import tomllib
from math import ceil
from pathlib import Path

GUIDE = Path(__file__).with_name("OPERATIONS.md")
FIGURES = Path(__file__).with_name("sizing.toml")
PLACES = (1, 10, 100, 1000)
HEAD = ("", *(f"{places:,} concurrent run{'s' if places > 1 else ''}" for places in PLACES))
_BLOCK = re.compile(r"(<!-- written by: python -m deploy\.sizing.*?-->\n).*?(<!-- end -->)", re.DOTALL)


def render_table() -> str:
    """Return the table in Markdown: the needs and the throughput of numbers of concurrent runs."""
    columns = [_column(places) for places in PLACES]
    rows = [HEAD, ("---",) * len(HEAD), *((name, *(column[name] for column in columns)) for name in columns[0])]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def update_table(guide: str) -> str:
    """Return the guide with the current table."""
    return _BLOCK.sub(lambda found: f"{found[1]}{render_table()}\n{found[2]}", guide)


def _column(places: int) -> dict[str, str]:
    figures = tomllib.loads(FIGURES.read_text(encoding="utf-8"))
    exporter, postgres, store = figures["exporter"], figures["postgres"], figures["store"]
    each = min(places, exporter["places_per_process"]) if places > 10 else 1
    processes = ceil(places / each)
    pool = postgres["pool_of_many"] if processes > 10 else postgres["pool"]
    others = postgres["other_processes"] * (postgres["pool"] + postgres["listeners"])
    others += postgres["job_api_processes"] * postgres["job_api_system_pool"]
    records = places * exporter["records_mb_per_s"]
    packed = records / exporter["packed_ratio"]
    uploads = packed * 1e6 / store["upload_bytes"]
    messages = places * figures["kafka"]["messages_per_run_per_s"]
    return {
        "exporters x worker places": f"{processes:,} x {each}",
        "their cores": f"{places * exporter['cores_per_place']:,}",
        "their memory": f"{places * exporter['memory_mib_per_place'] / 1024:,.1f} GiB",
        "records per second, at most": _bytes(records),
        "to the object store per second": _bytes(packed),
        "requests to the object store per second": f"{uploads:,.0f}",
        "prefixes (S3) or buckets": f"{ceil(uploads / store['requests_per_s_per_prefix'])}",
        "connections to the source": f"{places * exporter['source_connections']:,}",
        "connections to PostgreSQL": f"{processes * (pool + postgres['listeners']) + others:,}",
        "messages per second": f"{messages:,}",
        "load of one recorder": f"{messages / figures['history']['recorder_events_per_s']:.2%}",
        "partitions": "12" if places <= 100 else "24",
    }


def _bytes(megabytes: float) -> str:
    if megabytes < 1000:
        return f"{megabytes:,.0f} MB"
    return f"{megabytes / 1000:,.{0 if megabytes >= 10_000 else 1}f} GB"


if __name__ == "__main__":
    GUIDE.write_text(update_table(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
