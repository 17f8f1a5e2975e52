"""compose.yaml: every process of the product, with settings that it accepts, and restricted containers."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deploy.compose.make_secrets import make_secrets
from deploy.local.jars import KAFKA_VERSION
from deploy.local.services import ALL_PROCESSES, SERVICE_PROCESSES
from shared.sealing import Sealer, Unsealer
from tests.unit.deploy.documents import DEPLOY, load
from tests.unit.deploy.service_settings import load_settings

COMPOSE: dict[str, Any] = load(DEPLOY / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"].startswith("sluice/")}
BUILT = {each["image"]: each["build"] for each in SERVICES.values() if "build" in each}
SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("compose-spec.json").read_text(encoding="utf-8"))
STEPS = {name for name, each in SERVICES.items() if each["restart"] == "no"}


def test_it_conforms_to_the_compose_specification() -> None:
    jsonschema.validate(COMPOSE, SCHEMA)
    for wrong in ({"read_onyl": True}, {"tmpfs": 1}, {"depends_on": {"kafka": {"condition": "service_ready"}}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(COMPOSE | {"services": {"job-api": SERVICES["job-api"] | wrong}}, SCHEMA)


def substitute_defaults(environment: dict[str, str]) -> dict[str, str]:
    """Return an environment as compose passes it when no variable is set where it runs."""
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in environment.items()}


def test_U4_no_proxy_is_trusted_unless_it_is_named() -> None:
    trusted = {
        value
        for service in SERVICES.values()
        for name, value in substitute_defaults(service.get("environment", {})).items()
        if name.endswith("_HTTP_TRUSTED_PROXIES")
    }
    assert trusted == {"127.0.0.1"}


@pytest.mark.parametrize("name", OURS)
def test_every_process_accepts_its_settings(name: str, tmp_path: Path) -> None:
    service = OURS[name]
    settings = load_settings(service["command"], substitute_defaults(service["environment"]), tmp_path)
    if name not in STEPS:
        assert settings.model_dump()["http_port"] == 8080


def test_every_process_of_the_product_runs_after_its_migration() -> None:
    run = {tuple(each["command"]) for name, each in OURS.items() if name not in STEPS}
    assert run == {(part.package, part.command) for part in ALL_PROCESSES}
    steps = {tuple(OURS[name]["command"]) for name in STEPS}
    migrations = {(part.package, "migrate") for part in SERVICE_PROCESSES}
    assert steps == {("shared.provision",), ("shared.kafka_admin", "create-topics")} | migrations
    for name, each in OURS.items():
        args = BUILT[each["image"]]["args"]
        assert each["image"].startswith(f"sluice/{args['SERVICE']}:"), name
        assert args["PACKAGE"] == args["SERVICE"].replace("-", "_")
        if each["command"][0] != "shared.kafka_admin" and each["command"][0] != "shared.provision":
            assert each["command"][0] == args["PACKAGE"], name


def test_each_of_our_images_is_built_by_one_service_and_never_pulled() -> None:
    assert {each["image"] for each in OURS.values()} == set(BUILT)
    assert len([each for each in OURS.values() if "build" in each]) == len(BUILT)
    assert {each["pull_policy"] for each in OURS.values()} == {"never"}
    assert {each["platform"] for each in OURS.values()} == {"linux/amd64"}, "a package has no wheel for Linux on ARM"


def test_everything_starts_after_its_dependencies_and_every_step_has_a_dependent() -> None:
    waited_for: set[str] = set()
    for name, each in OURS.items():
        needs = each["depends_on"]
        for other, how in needs.items():
            assert how["condition"] == ("service_completed_successfully" if other in STEPS else "service_healthy"), (
                f"{name} on {other}"
            )
        if name not in STEPS:
            assert {f"migrate-{BUILT[each['image']]['args']['SERVICE']}", "topics"} <= set(needs), name
            waited_for |= set(needs)
    assert waited_for >= STEPS


def test_images_are_pinned() -> None:
    for name, each in SERVICES.items():
        tag = each["image"].rpartition(":")[2]
        assert tag, name
        assert "latest" not in tag, name
        assert re.search(r"\d", tag), name
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_containers_are_restricted() -> None:
    for name, each in SERVICES.items():
        assert each["security_opt"] == ["no-new-privileges:true"], name
        assert each.get("read_only") or name == "kafka", name
        assert each.get("cap_drop") == ["ALL"] or name == "postgres", name
        assert 0 < each["ulimits"]["nofile"]["soft"] <= each["ulimits"]["nofile"]["hard"] <= 20_000, name
        assert "privileged" not in each, name
        assert "user" not in each or str(each["user"]) != "0", name
        assert all(str(port).startswith("127.0.0.1:") for port in each.get("ports", [])), name
        assert "healthcheck" in each or name in OURS, "the product's images bring their own"


def test_D2_job_api_gets_the_public_key_of_the_deliverers_private_one(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    assert make_secrets(folder) == [], "existing secrets are kept"
    private, public = ((folder / name).read_text() for name in ("delivery_private_keys", "delivery_public_key"))
    assert Unsealer([private]).key_ids == (Sealer(public).key_id,)
    assert "delivery_private_keys" not in SERVICES["job-api"]["secrets"]


def test_secrets_are_files_given_only_to_the_services_that_need_them(tmp_path: Path) -> None:
    made = set(make_secrets(tmp_path / "secrets"))
    assert made == set(COMPOSE["secrets"])
    assert all(each["file"] == f"compose/secrets/{name}" for name, each in COMPOSE["secrets"].items())
    for name, each in SERVICES.items():
        environment = each.get("environment", {})
        files = {
            str(value).removeprefix("/run/secrets/") for value in environment.values() if "/run/secrets" in str(value)
        }
        assert files <= set(each.get("secrets", [])) <= made, name
        assert name == "postgres" or files == set(each.get("secrets", [])), name
        for variable, value in environment.items():
            secret = re.search(r"PASSWORD|POSTGRES$|SOURCE$|_DSN", variable)
            assert not secret or "/run/secrets/" in str(value), f"{name}: {variable}"
            assert "://" not in str(value) or "@" not in str(value), f"{name}: {variable}"


def test_secrets_are_created_once_and_addresses_contain_the_passwords(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert make_secrets(folder) == []
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert folder.stat().st_mode & 0o777 == 0o700
    assert before["exporter_password"].strip() in before["exporter_dsn"]
    assert len({text for name, text in before.items() if name.endswith("password")}) == 9


def test_mounted_volumes_and_files_exist() -> None:
    for name, each in SERVICES.items():
        for volume in each.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] if source[0] != "." else (DEPLOY / source).exists(), f"{name}: {volume}"


def test_a_stopping_exporter_has_time_to_hand_its_work_back() -> None:
    from exporter.settings import Settings

    drain = Settings.model_fields["drain"].default
    # After the drain, the process takes up to 8 s for its loops and 8 s for its server.
    assert int(SERVICES["exporter"]["stop_grace_period"].removesuffix("s")) >= drain.total_seconds() + 16
