"""The whole product in containers, where a Docker engine answers: built, restricted, and exporting."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from testcontainers.compose import DockerCompose
from testcontainers.core.docker_client import DockerClient

from deploy.compose.make_secrets import FOLDER, make_secrets
from deploy.grafana.dashboards import DASHBOARDS
from deploy.local.ports import LOOPBACK, free_port
from tests.integration.deploy.exports import do_exports
from tests.support.containers import is_docker_available
from tests.support.wait import eventually_now

ROOT = Path(__file__).parents[3]
PORTS = {name: free_port() for name in ("SLUICE_PORT", "GRAFANA_PORT", "PROMETHEUS_PORT")}
PROJECT = f"sluice-test-{PORTS['SLUICE_PORT']}"
pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not is_docker_available(), reason="no Docker engine answers"),
]


@pytest.fixture(scope="module")
def compose() -> Iterator[DockerCompose]:
    """Build the images and start everything, with a project name and ports of its own; stop it afterwards."""
    make_secrets(FOLDER)
    with pytest.MonkeyPatch.context() as environment:
        for name, port in PORTS.items():
            environment.setenv(name, str(port))
        environment.setenv("COMPOSE_PROJECT_NAME", PROJECT)
        with DockerCompose(ROOT / "deploy", "compose.yaml", build=True) as compose:
            yield compose


def address(name: str) -> str:
    return f"http://{LOOPBACK}:{PORTS[name]}"


def test_an_export_goes_from_a_new_job_to_decrypted_records(compose: DockerCompose, tmp_path: Path) -> None:
    sample = Path(__file__).with_name("container_sample.sql").read_text(encoding="utf-8")
    argv = ["psql", "-U", "postgres", "-d", "contact_history", "-v", "ON_ERROR_STOP=1", "-c", sample]
    _, complaint, status = compose.exec_in_container(argv, "postgres")
    assert status == 0, complaint
    bootstrap = [
        "python",
        "-m",
        "job_api",
        "bootstrap",
        "--tenant",
        "acme",
        "--source-tenant",
        "101",
        "--user",
        "admin",
    ]
    printed, complaint, status = compose.exec_in_container(bootstrap, "job-api")
    assert status == 0, complaint
    records = do_exports(address("SLUICE_PORT"), json.loads(printed.splitlines()[-1])["api_key"], tmp_path)
    assert records == {"Interaction": 500, "Interaction-Attachment": 1, "Contact": 1}


def test_containers_have_the_restrictions_of_the_file(compose: DockerCompose) -> None:
    ours = containers()
    assert len(ours) == 8, "job-api, two schedulers, two exporters, three of history"
    for each in ours:
        host = each.attrs["HostConfig"]
        assert host["ReadonlyRootfs"], each.name
        assert host["CapDrop"] == ["ALL"], each.name
        assert "no-new-privileges:true" in host["SecurityOpt"], each.name
        assert [limit["Hard"] for limit in host["Ulimits"]] == [20_000], each.name
        assert each.attrs["State"]["Health"]["Status"] == "healthy", each.name
        assert each.exec_run(["id", "-u"]).output == b"65532\n", each.name


def containers() -> list[Any]:
    """Return the running containers of the product's processes."""
    project = {"label": f"com.docker.compose.project={PROJECT}"}
    found = DockerClient().client.containers.list(filters=project)
    return [each for each in found if each.attrs["Config"]["Image"].startswith("sluice/")]


def test_prometheus_scrapes_every_process_and_grafana_has_the_dashboards(compose: DockerCompose) -> None:
    def scraped() -> bool:
        found = httpx.get(f"{address('PROMETHEUS_PORT')}/api/v1/query", params={"query": "up == 1"}).json()
        return len(found["data"]["result"]) == 8

    eventually_now(scraped, timeout=120)
    login = ("admin", (FOLDER / "grafana_password").read_text(encoding="utf-8").strip())
    found = httpx.get(f"{address('GRAFANA_PORT')}/api/search", params={"tag": "sluice"}, auth=login).json()
    assert {each["uid"] for each in found} == {f"sluice-{each.name}" for each in DASHBOARDS}


def test_a_process_stops_cleanly(compose: DockerCompose) -> None:
    for each in containers():
        each.stop(timeout=40)
        each.reload()
        assert each.attrs["State"]["ExitCode"] == 0, each.name
