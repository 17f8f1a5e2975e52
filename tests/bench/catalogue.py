"""The benchmarks: what each measures, beside which peer, within which bounds, and what limits it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a benchmark's last line: what it means, and its bounds if it has any."""

    meaning: str
    least: float = -INFINITE
    most: float = INFINITE

    @property
    def bounds(self) -> str:
        """Return the bounds as a reader writes them; empty without any."""
        limits = ((">=", self.least), ("<=", self.most))
        return " and ".join(f"{sign} {limit:,g}" for sign, limit in limits if abs(limit) != INFINITE)

    def is_kept(self, value: float) -> bool:
        """Return whether a value lies within the bounds."""
        return self.least <= value <= self.most


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One `make bench-...` target: `python -m tests.bench.<name>`.

    `peer` says with what it is compared and why that is fair, `limits` what limits our figure, and `tried` what was
    tried to raise it. `smallest` is the form that runs with all other tests, which only proves that it works.
    """

    name: str
    title: str
    peer: str
    limits: str
    tried: str
    smallest: tuple[str, ...]
    figures: Mapping[str, Figure] = field(default_factory=dict)


EXPORT = Benchmark(
    name="export",
    title="Export: from PostgreSQL to encrypted files",
    peer="What an administrator writes in a shell: `psql | zip | openssl cms -encrypt`, with the default `zip`, "
    "with `zip -1` and with `igzip -2`; `psql` into `/dev/null`, which does nothing with the records; and the program "
    "that one writes first in Python (pages by OFFSET, `json`, `zipfile`, the library's envelope). All read the same "
    "tables of the same server in the same round, each round begins with another one, and every file is decrypted and "
    "compared with the source.",
    limits="The server's process that sends the raw columns, and the two cores that it shares with the worker.",
    tried="Records built as JSON by the server (`SLUICE_EXPORTER_TRANSCODER=server make bench-export`): less than half "
    "the speed. The records are built from raw columns by a small C library instead.",
    smallest=("--rows", "30000", "--rounds", "1", "--growth", "1"),
    figures={
        "vs_shell": Figure("times as fast as `psql | zip | openssl cms`", least=2.5),
        "vs_shell_zip1": Figure("times as fast as the same with `zip -1`", least=1.3),
        "vs_igzip": Figure("times as fast as the same with `igzip -2`", least=1.05),
        "vs_psql_null": Figure("wall time relative to `psql` into `/dev/null`", most=1.25),
        "vs_naive": Figure("times as fast as a plain Python export", least=8.0),
        "cpu_s_per_gb": Figure("CPU seconds of the worker per GB of records", most=6.5),
        "rss_mib": Figure("highest resident size of the worker, MiB", most=96.0),
        "rss_growth_mib": Figure("growth of it with four times the rows, MiB", most=16.0),
        "attachments_vs_shell": Figure("attachments: times as fast as the shell", least=4.0),
        "raw_mb_per_s": Figure("MB of records per second"),
    },
)

SCHEDULER = Benchmark(
    name="scheduler",
    title="Scheduler: slots decided and committed",
    peer="APScheduler 3.11 with its PostgreSQL job store and empty jobs, before and after each trial on the same "
    "server. It keeps no ledger of slots and publishes nothing, so it does less for each slot.",
    limits="PostgreSQL's inserts and commits: ledger row, next slot and outbox row of each slot, durable.",
    tried="In: rows written by their positions, one index of the outbox, batches of half the shards, which together "
    "halved the time of a slot.",
    smallest=(
        *("--jobs", "2000", "--peer-jobs", "100", "--rate", "100", "--seconds", "6"),
        *("--idle-seconds", "2", "--trials", "1", "--few", "500", "--batches", "5"),
    ),
    figures={
        "slots_per_s": Figure("slots per second, all due at once, two schedulers", least=15_000),
        "vs_apscheduler": Figure("times APScheduler's slots per second", least=20),
        "lateness_p99_s": Figure("lateness of slots at a steady rate, p99, seconds", most=1),
        "publish_p99_s": Figure("from decision to a reader of Kafka, p99, seconds", most=1),
        "idle_cpu": Figure("idle scheduler, fraction of a core", most=0.02),
        "failover_s": Figure("latest slot after a kill -9 of one of two, seconds", most=2),
        "turn_growth": Figure("a batch of due jobs among all jobs, relative to among 20,000", most=1.3),
    },
)

HISTORY = Benchmark(
    name="history",
    title="History: run log, estimates, lists and live updates",
    peer="A bare aiokafka consumer that decodes the same events and inserts them into one table, and a bare faust "
    "agent that only decodes them: what the libraries themselves cost on this machine.",
    limits="One process of each kind uses one core; PostgreSQL and Kafka share the other.",
    tried="In: of a batch, only what nothing in it supersedes is applied; records are decoded without copying headers; "
    "runs are written as one array of a composite type.",
    smallest=(
        *("--events", "4000", "--turns", "1", "--runs", "600", "--pages", "10"),
        *("--clients", "20", "--seconds", "1"),
    ),
    figures={
        "visible_p99_s": Figure("from event to the run in the API at 1,000 events per second, p99, seconds", most=1.0),
        "sse_p99_s": Figure("from event to each of 1,000 live clients, p99, seconds", most=2.0),
        "list_ratio": Figure("a page among 5,000,000 runs relative to among 5,000, p99", most=3.0),
        "list_ratio_sorted": Figure("the same in every other order"),
        "recorder_per_s": Figure("events recorded per second", least=20_000),
        "vs_bare_consumer": Figure("the same, relative to the bare consumer", least=0.5),
        "rebuild_per_s": Figure("events per second of a rebuild", least=20_000),
        "faust_per_s": Figure("events estimated per second"),
        "faust_vs_bare": Figure("the same, relative to the bare agent", least=0.5),
    },
)

ETA = Benchmark(
    name="eta",
    title="Estimated time remaining",
    peer="The estimates of `tqdm` and `rich`, the progress bars in widest use, which follow the same synthetic traces.",
    limits="Without an earlier run there is little more to know than what a progress bar knows.",
    tried="Single sliding windows, as download bars use, do worst on exports. In: a blend of four windows, weighted by "
    "how well each would have forecast the run so far, and the time curves of earlier runs.",
    smallest=("--traces", "26", "--running", "50"),
    figures={
        "auc_all": Figure("area of the error relative to tqdm's, all traces", most=0.75),
        "auc_history": Figure("the same for jobs with earlier runs", most=0.55),
        "auc_none": Figure("the same for first runs", most=1.0),
        "jump": Figure("jumps of the shown value relative to tqdm's", most=0.4),
        "coverage": Figure("share of ends within the band of 10 % to 90 %", least=0.75, most=0.85),
        "ms_per_estimate": Figure("CPU milliseconds per estimate", most=1.0),
        # 10,000 running exports, each every 5 s.
        "estimates_per_s": Figure("estimates per CPU second with decoding and storing", least=2000),
        "state_kb": Figure("largest state of an estimator, KiB", most=16),
    },
)

API = Benchmark(
    name="api",
    title="Job API",
    peer="A bare FastAPI route that runs `SELECT 1` over the same pool in the same process: what the framework itself "
    "costs. A request to the API is authenticated, limited, validated and audited as well.",
    limits="Python: one core serves all requests, and each costs a fraction of a millisecond more than the bare one.",
    tried="In: callers and services are resolved without a dependency graph per request; parameter names are computed "
    "once per route.",
    smallest=("--jobs", "400", "--tenants", "2", "--depth", "3", "--trials", "1", "--seconds", "0.3"),
    figures={
        "get_ratio": Figure("jobs read per second relative to the bare route", least=0.6),
        "list_ratio": Figure("pages of 50 jobs per second relative to it", least=0.35),
        "create_ratio": Figure("jobs created per second relative to it", least=0.25),
        "p99_ratio": Figure("p99 latency of a read relative to it", most=5.0),
        "deep_page_ratio": Figure("page 1,000 relative to the first page, time", most=1.3),
    },
)

PAGES = Benchmark(
    name="pages",
    title="Pages",
    peer="The JSON list of the same jobs from the same process, requested alternately.",
    limits="Rendering 50 rows in Python.",
    tried="In: rows rendered from the list's own projection, which made the page five times as fast.",
    smallest=("--jobs", "100", "--times", "20"),
    figures={
        "ttfb_ratio": Figure("first byte of the Jobs page relative to the JSON list", most=2.0),
        "page_ms": Figure("first byte of the Jobs page, milliseconds"),
        "json_ms": Figure("first byte of the JSON list, milliseconds"),
        "weight_kb": Figure("a first visit with all assets, kB", most=150.0),
        "other_hosts": Figure("requests to other hosts", most=0.0),
        "slow_3g_s": Figure("Jobs page usable over Slow 3G, seconds", most=3.0),
    },
)

DELIVERY = Benchmark(
    name="delivery",
    title="Delivery: files to a customer's own storage",
    peer="`rclone copyto` to the same S3 server over TLS, and OpenSSH's `sftp put` to the same server: the same bytes "
    "in the same round, each round begins with another one. Neither verifies the file at its destination.",
    limits="One core copies, hashes and encrypts. Over SFTP every byte is also read back, since servers have no "
    "checksum. The modules that are imported need 83 MiB before the first byte.",
    tried="In: parts in parallel, AES-GCM before ChaCha20, verification by the tag that S3 derives from the parts.",
    smallest=("--deliveries", "16", "--faults", "3", "--waiting", "5", "--mib", "24", "--rounds", "1"),
    figures={
        "early_manifests": Figure("storm: manifests before their files", most=0),
        "missing": Figure("storm: objects that never arrived", most=0),
        "differing": Figure("storm: objects that differ", most=0),
        "doubled": Figure("storm: complete objects that were sent again", most=0),
        "delay_p99_s": Figure("longer wait beside a dead destination, p99, seconds", most=1.0),
        "vs_peer_s3": Figure("times as fast as `rclone copyto`", least=1.0),
        "vs_peer_sftp": Figure("times as fast as `sftp put`", least=1.0),
        "rss_mib": Figure("highest resident size of the deliverer, MiB", most=64),
    },
)

DECRYPT = Benchmark(
    name="decrypt",
    title="Decryption: from an encrypted file to records",
    peer="`openssl cms -decrypt`, which only decrypts, and `unzip` after it, which together do what `sluice decrypt` "
    "does. All read the same file and write to the same disk in the same round, each round begins with another one, "
    "and the records are compared. Every start of a process counts.",
    limits="Inflating: one core at about 500 MB/s of records. Decryption itself takes half a second of it per GB.",
    tried="In: the archive is unpacked while it is decrypted, without being written; ISA-L inflates, in pieces that "
    "stay in a processor's cache (twice the size: four fifths of the speed); a second thread writes.",
    smallest=("--mb", "2", "--large-mb", "6", "--rounds", "1"),
    figures={
        "vs_openssl": Figure("times as fast as `openssl cms -decrypt`, which does not unpack", least=1.0),
        "vs_openssl_unzip": Figure("times as fast as both", least=2.0),
        "cpu_vs_openssl_unzip": Figure("CPU seconds of both relative to ours"),
        "rss_mib": Figure("highest resident size, MiB", most=96.0),
        "rss_growth_mib": Figure("growth of it with the large file, MiB", most=16.0),
        "openssl_rss_mib": Figure("highest resident size of openssl, MiB"),
        "raw_mb_per_s": Figure("MB of records per second"),
    },
)

OPEN = Benchmark(
    name="open",
    title="Opening: which programs open the files",
    peer="A matrix, not a timing: every program that decrypts CMS or unpacks zip, on the same files, compared with "
    "their content. docs/OPENING.md has the table.",
    limits="What each program knows of CMS.",
    tried="Recipients identified by their keys: then `openssl smime` and gpgsm open nothing.",
    smallest=("--installed",),
    figures={
        "openers": Figure("programs that decrypt"),
        "unpackers": Figure("programs that unpack"),
        "tries": Figure("files tried, each with the key of each recipient"),
        "opened": Figure("of them opened, with equal bytes"),
        "broken_promises": Figure("cases that a rule promises and that do not open", most=0),
    },
)

BENCHMARKS = {each.name: each for each in (EXPORT, DECRYPT, SCHEDULER, HISTORY, ETA, API, PAGES, DELIVERY, OPEN)}
