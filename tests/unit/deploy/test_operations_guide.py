"""The operations guide: a test runs each command, or the guide says why not; its tables and links are correct."""

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from deploy.sizing import render_table, update_table
from tests.unit.deploy.documents import DEPLOY, load
from tests.unit.deploy.service_settings import known_variables, load_settings

GUIDE = (DEPLOY / "OPERATIONS.md").read_text(encoding="utf-8")
ROOT = DEPLOY.parent
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"^## ", GUIDE, flags=re.MULTILINE)[1:]}
BLOCKS = [
    (heading, marker, script)
    for heading, text in SECTIONS.items()
    for marker, script in re.findall(r"<!-- run by: (.+?) -->\n```sh\n(.*?)```", text, re.DOTALL)
]


def commands(script: str) -> list[str]:
    """Return the commands of a block line by line, without comments."""
    return [" ".join(argv) for line in script.splitlines() if (argv := shlex.split(line, comments=True))]


def test_every_block_of_commands_names_its_test() -> None:
    assert GUIDE.count("```") == 2 * len(BLOCKS), "a block is ```sh under a line that names its test"
    assert len(BLOCKS) > 5
    for heading, marker, _ in BLOCKS:
        assert marker.startswith(("tests/", "nothing, ", "nothing where ")), f"{heading}: {marker}"


@pytest.mark.parametrize(("heading", "marker", "script"), BLOCKS, ids=[block[0] for block in BLOCKS])
def test_the_test_of_a_block_runs_its_commands(heading: str, marker: str, script: str) -> None:
    if marker.startswith("nothing"):
        return
    code = (ROOT / marker.partition(",")[0]).read_text(encoding="utf-8")
    if f'commands("{heading}")' in code:
        return  # read from the guide
    for command in commands(script):
        argv = command.removeprefix("python -m ").split()
        assert all(f'"{each}"' in code for each in argv), f"{marker} does not run: {command}"


def test_our_programs_that_it_names_exist() -> None:
    named = set(re.findall(r"python3? -m ([\w.]+)", GUIDE)) | set(re.findall(r"\bmake ([a-z-]+)`", GUIDE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert [name for name in named - targets if importlib.util.find_spec(name) is None] == []


ROW = r"^\| `([\w. ]+)` \| `(docker .+?)` \| `(.+?)` \|$"
CONTAINERS = {command: (compose, kubernetes) for command, compose, kubernetes in re.findall(ROW, GUIDE, re.MULTILINE)}
COMPOSE: dict[str, Any] = load(DEPLOY / "compose.yaml")["services"]


def find_container(argv: list[str]) -> str:
    """Return the row of the guide's table for a command; raises StopIteration without one."""
    return next(each for each in (" ".join(argv[:2]), argv[0]) if each in CONTAINERS)


def test_every_command_has_a_container_in_compose_and_in_kubernetes() -> None:
    given = [each.split()[2:] for _, _, script in BLOCKS for each in commands(script) if each.startswith("python -m ")]
    assert len(given) > 10
    assert {find_container(argv) for argv in given} == set(CONTAINERS)


@pytest.mark.parametrize("command", CONTAINERS)
def test_the_container_that_the_guide_names_has_the_settings_of_its_command(command: str, tmp_path: Path) -> None:
    """The guide's container runs the command by its own entry point, with settings that this command accepts."""
    compose, _ = CONTAINERS[command]
    service, *typed = compose.partition("--no-deps ")[2].split()
    argv = typed or COMPOSE[service]["command"]
    assert " ".join(argv[: len(command.split())]) == command
    environment = {
        name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in COMPOSE[service]["environment"].items()
    }
    load_settings(argv, environment, tmp_path)
    package = COMPOSE[service]["image"].removeprefix("sluice/").partition(":")[0].replace("-", "_")
    assert argv[0] in {package, "shared.provision", "shared.kafka_admin"}
    for name in re.findall(r"/run/secrets/(\w+)", " ".join(environment.values())):
        assert name in COMPOSE[service]["secrets"], name


@pytest.mark.parametrize("command", CONTAINERS)
def test_in_kubernetes_a_command_runs_in_a_pod_of_its_image_or_as_a_step_of_the_chart(command: str) -> None:
    typed = CONTAINERS[command][1].split()
    steps = {"shared.provision", *(f"{each} migrate" for each in ("job_api", "scheduler", "exporter", "history"))}
    if command in steps:
        assert typed[:2] == ["helm", "upgrade"]
        return
    chart = (DEPLOY / "helm/sluice/templates/_helpers.tpl").read_text(encoding="utf-8")
    process = next(each for each in typed if each.startswith("deploy/")).removeprefix("deploy/sluice-")
    package = re.search(rf"^{process}: {{service: [\w-]+, package: (\w+),", chart, re.MULTILINE)
    assert package is not None
    assert command.split(maxsplit=1)[0] in {package[1], "shared.kafka_admin"}
    assert " ".join(typed).endswith(f"-- python -m {command}")


def test_variables_that_it_names_are_settings() -> None:
    named = set(re.findall(r"SLUICE_[A-Z_]+", GUIDE))
    assert len(named) > 10
    assert named - known_variables() == set()


def test_the_table_of_sizes_is_up_to_date() -> None:
    assert render_table() in GUIDE, "run: python -m deploy.sizing"
    assert update_table(GUIDE) == GUIDE


def test_the_tests_that_it_names_exist() -> None:
    named = set(re.findall(r"`?(tests/[\w/.]+\w)`?", GUIDE))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_each_row_of_what_misbehaves_names_a_test_that_exists() -> None:
    rows = [line for line in SECTIONS["When something misbehaves"].splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 20
    for row in rows:
        *cells, named = (cell.strip() for cell in row.strip("|").split("|"))
        assert all(cells), row
        found = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", named)
        assert found, row
        assert re.search(rf"^(async )?def {found[2]}\(", (ROOT / found[1]).read_text(encoding="utf-8"), re.MULTILINE), (
            row
        )


def test_its_links_have_targets() -> None:
    headings = re.findall(r"^#+ (.+)$", GUIDE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([\w-]+)\)", GUIDE)) <= anchors
    for path in re.findall(r"\]\(([\w/.-]+)\)", GUIDE):
        assert (DEPLOY / path).exists(), path
