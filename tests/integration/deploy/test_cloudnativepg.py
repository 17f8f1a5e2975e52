"""The chart with CloudNativePG: provisioning with the very Secret that the operator writes for the superuser."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from deploy.helm.rendering import render_set
from deploy.local.processes import plain_environment
from shared.provision import OWNER
from tests.support.servers import PASSWORD, Databases


def write_superuser_secret(admin_dsn: str) -> dict[str, str]:
    """Return the keys and values of `<cluster>-superuser`, as CloudNativePG 1.30 writes them (pkg/specs/secrets.go)."""
    address = urlsplit(admin_dsn)
    uri = f"postgresql://{address.netloc}/*"
    return {
        "username": address.username or "",
        "user": address.username or "",
        "password": address.password or "",
        "dbname": "*",
        "host": address.hostname or "",
        "port": str(address.port),
        "pgpass": f"{address.hostname}:{address.port}:*:{address.username}:{address.password}\n",
        "uri": uri,
        "jdbc-uri": f"jdbc:{uri}",
        "fqdn-uri": uri,
        "fqdn-jdbc-uri": f"jdbc:{uri}",
    }


def find(kind: str, name: str) -> dict[str, Any]:
    (found,) = (each for each in render_set("operators") if each["kind"] == kind and each["metadata"]["name"] == name)
    return found


def mount(pod: dict[str, Any], secrets: dict[str, dict[str, str]], folder: Path) -> dict[str, str]:
    """Write a pod's secrets as Kubernetes mounts them; return its environment with these paths."""
    container = pod["containers"][0]
    paths = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    for volume in pod["volumes"]:
        if "secret" not in volume:
            continue
        target = folder / paths[volume["name"]].removeprefix("/")
        target.mkdir(parents=True)
        for item in volume["secret"]["items"]:
            (target / item["path"]).write_text(secrets[volume["secret"]["secretName"]][item["key"]])
    values = {each["name"]: each["value"] for each in container["env"]}
    return {name: f"{folder}{value}" if value.startswith("/secrets/") else value for name, value in values.items()}


async def test_provision_prepares_the_database_of_the_cluster(postgres: Databases, tmp_path: Path) -> None:
    admin = await postgres.create()
    name = urlsplit(admin).path.removeprefix("/")
    pod = find("Job", "sluice-provision")["spec"]["template"]["spec"]
    keys = ("owner", "job-api", "job-api-system", "scheduler", "exporter", "history")
    secrets = {
        "sluice-postgres-superuser": write_superuser_secret(admin),
        "sluice-provision": dict.fromkeys(keys, PASSWORD),
    }
    environment = mount(pod, secrets, tmp_path)
    created = find("Cluster", "sluice-postgres")["spec"]["bootstrap"]["initdb"]["database"]
    assert environment["SLUICE_PROVISION_DATABASE"] == created
    argv = [sys.executable, "-m", *pod["containers"][0]["args"]]

    def run(**changed: str) -> subprocess.CompletedProcess[str]:
        given = plain_environment({name: value for name, value in (environment | changed).items() if value})
        return subprocess.run(argv, env=given, capture_output=True, text=True, check=False)

    refused = run(SLUICE_PROVISION_DATABASE="")
    assert refused.returncode == 1
    assert "names the database *, which means any: set SLUICE_PROVISION_DATABASE" in refused.stderr
    assert PASSWORD not in refused.stderr
    done = run(SLUICE_PROVISION_DATABASE=name)
    assert done.returncode == 0, done.stderr
    connection = await asyncpg.connect(admin)
    try:
        owners = await connection.fetch(
            "SELECT nspname, nspowner::regrole::text AS owner FROM pg_namespace WHERE nspname = ANY ($1)",
            ["job_api", "scheduler", "exporter", "history"],
        )
    finally:
        await connection.close()
    assert [row["owner"] for row in owners] == [OWNER] * 4
