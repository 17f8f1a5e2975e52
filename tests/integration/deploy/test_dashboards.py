"""Every expression of the dashboards, evaluated by a real Prometheus that scrapes a running system with exports."""

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.grafana.dashboards import DASHBOARDS
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import ChildProcess, ProcessSpec, plain_environment
from deploy.local.reaper import Reaper
from deploy.local.services import SERVICE_PROCESSES
from deploy.local.stack import Stack, run_stack
from deploy.metrics_page import collect_metrics
from shared import codec
from shared.kafka import Producer
from shared.topics import RUNS
from tests.integration.deploy.exports import do_exports
from tests.support.wait import eventually_now

PROMETHEUS = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(
    PROMETHEUS is None, reason="Prometheus is not installed (Debian: apt-get install prometheus)"
)
RULES = Path(__file__).parents[3] / "deploy/prometheus/rules"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run the whole system after some exports."""
    with run_stack(interactions=3000, report=lambda _: None) as stack:
        records = do_exports(stack.api_url, stack.api_key, tmp_path_factory.mktemp("exports"))
        assert set(records) == {"Interaction", "Interaction-Attachment", "Contact"}
        assert records["Interaction"] > 2000
        yield stack


def find_ports(stack: Stack) -> dict[str, str]:
    """Return the HTTP port of each process, from its log."""
    found = {}
    for process in SERVICE_PROCESSES:
        logged = re.findall(
            r"started .*?\bport=(\d+)", (stack.logs / f"{process.name}.log").read_text(errors="replace")
        )
        found[process.name] = logged[-1]
    return found


@pytest.fixture(scope="module")
def prometheus(stack: Stack, reaper: Reaper, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Run Prometheus on the system with our rules and shorter intervals; return a client of it."""
    assert PROMETHEUS is not None
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    jobs: dict[str, list[str]] = {}
    for name, each in find_ports(stack).items():
        jobs.setdefault("sluice-" + re.sub(r"-\d$", "", name), []).append(f"{LOOPBACK}:{each}")
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES / "*.yml")],
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": each}]} for job, each in jobs.items()],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML too
    argv = [PROMETHEUS, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (
        run_process([*argv, f"--web.listen-address={LOOPBACK}:{port}"], folder, reaper),
        httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=30) as client,
    ):
        eventually_now(lambda: is_everything_scraped(client), timeout=60)
        yield client


@contextmanager
def run_process(argv: list[str], folder: Path, reaper: Reaper) -> Iterator[None]:
    log = folder / "prometheus.log"
    command = ProcessSpec(name="Prometheus", argv=argv, environment=plain_environment(), log=log, folder=folder)
    running = ChildProcess(command, reaper)
    try:
        yield
    finally:
        running.stop()


def is_everything_scraped(client: httpx.Client) -> bool:
    try:
        if not client.get("/-/ready").is_success:
            return False
    except httpx.TransportError:
        return False
    return len(query(client, "up == 1")) == len(SERVICE_PROCESSES) and bool(query(client, "sluice:slo_errors:ratio_1h"))


def query(client: httpx.Client, expression: str) -> list[Any]:
    answer = client.get("/api/v1/query", params={"query": expression})
    assert answer.is_success, f"{expression}: {answer.text}"
    found: list[Any] = answer.json()["data"]["result"]
    return found


def test_every_panel_has_data(prometheus: httpx.Client) -> None:
    panels = [panel for dashboard in DASHBOARDS for row in dashboard.rows for panel in row.panels]
    wanted = {query.expr: panel.title for panel in panels for query in panel.queries}
    empty = dict(wanted)

    def have_all_data() -> bool:
        # A rate requires two scrapes.
        for expression in list(empty):
            if query(prometheus, expression.replace("$__rate_interval", "1m")):
                del empty[expression]
        return not empty

    with suppress(AssertionError):
        eventually_now(have_all_data, timeout=40)
    assert empty == {}


def test_no_alert_fires_for_a_healthy_system(prometheus: httpx.Client) -> None:
    assert query(prometheus, 'ALERTS{alertstate="firing"}') == []
    rules = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    assert [rule["name"] for group in rules for rule in group["rules"] if rule.get("lastError")] == []


def test_processes_expose_exactly_the_metrics_of_the_page(prometheus: httpx.Client) -> None:
    kinds: dict[str, str] = {}
    for name, each in prometheus.get("/api/v1/metadata").json()["data"].items():
        if name.startswith("sluice_") and not name.endswith("_created"):
            kinds[name] = each[0]["type"]
    declared = {name: kind for name, (kind, _, _) in collect_metrics().items()}
    exposed = {name if name in declared else f"{name}_total": kind for name, kind in kinds.items()}
    assert exposed == declared
    for name, (_, labels, _) in collect_metrics().items():
        for series in query(prometheus, f'{{__name__=~"{name}(_count)?"}}'):
            # Prometheus treats an empty label as absent.
            assert set(series["metric"]) - {"__name__", "job", "instance"} <= set(labels), name


def test_problems_are_displayed(stack: Stack, prometheus: httpx.Client) -> None:
    headers = {"Authorization": f"Bearer {stack.api_key}", "If-Match": "*"}
    with httpx.Client(base_url=stack.api_url, headers=headers, timeout=30) as client:
        for certificate in client.get("/api/v1/certificates").json()["items"]:
            client.post(f"/api/v1/certificates/{certificate['id']}/retire").raise_for_status()
        (hourly,) = [job for job in client.get("/api/v1/jobs").json()["items"] if job["title"] == "hourly"]
        client.post(f"/api/v1/jobs/{hourly['id']}/run", headers={"Idempotency-Key": "trouble"}).raise_for_status()
    asyncio.run(send_garbage(stack.kafka_bootstrap))
    shown = {
        query.expr: panel.title
        for dashboard in DASHBOARDS
        for row in dashboard.rows
        for panel in row.panels
        for query in panel.queries
        if panel.title in {"Failed attempts", "Dead letters"}
    }
    assert len(shown) == 2

    def have_all_data() -> bool:
        found = {each: query(prometheus, each.replace("$__rate_interval", "1m")) for each in shown}
        return all(each and all(series["metric"] for series in each) for each in found.values())

    eventually_now(have_all_data, timeout=60)


async def send_garbage(kafka: str) -> None:
    """Send an unreadable message."""
    async with Producer.open(kafka, name="test") as producer:
        await producer.send([codec.Record(RUNS.name, b"x", b"{", ())])
