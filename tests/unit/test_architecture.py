"""Who may import what, and how long a thing may grow: the rules that keep the parts apart."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = {"job_api": "services/job-api", "scheduler": "services/scheduler", "exporter": "services/exporter"}
SERVICES["history"] = "services/history"
PRODUCT = ["shared", *SERVICES.values(), "client", "deploy"]
PURE = {"domain", "timetable", "projections", "estimator", "errors", "events"}
PURE_MAY_NOT = {"asyncio", "os", "time", "logging", "threading", "random", "secrets", "socket", "subprocess"}

# One home per library: where it may be imported, as the beginnings of paths.
HOMES = {
    "aiokafka": ["shared/kafka"],
    "asyncpg": [
        "shared/postgres.py",
        "shared/provision.py",
        "services/exporter/exporter/source/snapshot.py",
        "services/exporter/exporter/source/watermark.py",
        "deploy/",
    ],
    "prometheus_client": ["shared/observe.py"],
    "faust": ["services/history/history/app.py", "services/history/history/estimating/agents.py"],
    "structlog": ["shared/observe.py"],
    "obstore": [
        "shared/objectstore.py",
        "services/exporter/exporter/package/objects.py",
        "services/history/history/store/objects.py",
    ],
}
ENVIRONMENT_HOMES = ["shared/settings.py", "shared/provision.py", "shared/kafka_admin.py", "deploy/"]
# The worker leaves SLUICE_* behind for its child, and settings name this process and host.
ENVIRONMENT_HOMES += ["services/exporter/exporter/worker/process.py"]
CLOCK_HOMES = ["shared/clock.py", "deploy/"]


def sources(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def roots(tree: ast.Module) -> set[str]:
    return {name.partition(".")[0] for name in imports(tree)}


@pytest.mark.parametrize("service", SERVICES)
def test_services_never_import_each_other(service: str) -> None:
    others = (set(SERVICES) | {"sluice", "deploy", "tests"}) - {service}
    faults = {path: found for path, tree in sources(SERVICES[service]) if (found := roots(tree) & others)}
    assert faults == {}


def test_shared_and_client_stand_alone() -> None:
    above = {*SERVICES, "deploy", "tests"}
    faults = {path: found for path, tree in sources("shared") if (found := roots(tree) & (above | {"sluice"}))}
    faults |= {path: found for path, tree in sources("client") if (found := roots(tree) & (above | {"shared"}))}
    assert faults == {}


def is_pure(path: str) -> bool:
    parts = Path(path).with_suffix("").parts
    return bool(PURE & set(parts)) and parts[0] in {"shared", "services"}


def test_pure_modules_know_no_clock_no_environment_and_do_not_wait() -> None:
    faults = []
    for path, tree in sources("shared", *SERVICES.values()):
        if not is_pure(path):
            continue
        package = Path(path).parts[2] if path.startswith("services") else "shared"
        for name in imports(tree):
            root = name.partition(".")[0]
            own = root == package and is_pure(name.replace(".", "/").replace(package, f"services/x/{package}", 1))
            pure_shared = name.startswith(("shared.events", "shared.timetable", "shared.errors")) or name == "shared"
            if root in PURE_MAY_NOT or (root in SERVICES | {"shared": ""} and not (own or pure_shared)):
                faults.append(f"{path} imports {name}")
            elif root not in SERVICES and root != "shared" and not is_standard(root):
                faults.append(f"{path} imports {name}, which is not the standard library")
        faults += [f"{path}:{node.lineno} waits" for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]
        faults += [f"{path}:{line} asks the clock" for line in clock_calls(tree)]
    assert faults == []


def is_standard(root: str) -> bool:
    return root in sys.stdlib_module_names


def clock_calls(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="datetime" | "date"), attr="now" | "utcnow" | "today"):
                yield node.lineno


@pytest.mark.parametrize("library", HOMES)
def test_one_home_per_library(library: str) -> None:
    allowed = HOMES[library]
    faults = [
        path
        for path, tree in sources(*PRODUCT)
        if library in roots(tree) and not path.startswith(tuple(allowed)) and "/store" not in path
    ]
    assert faults == []


def test_the_environment_is_read_in_one_place() -> None:
    faults = []
    for path, tree in sources(*PRODUCT):
        reads = any(
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr) in {("os", "environ"), ("os", "getenv")}
            for node in ast.walk(tree)
        ) or any(name in {"os.environ", "os.getenv"} for name in imports(tree))
        if reads and not path.startswith(tuple(ENVIRONMENT_HOMES)):
            faults.append(path)
    assert faults == []


def test_the_system_clock_is_asked_in_one_place() -> None:
    faults = [
        f"{path}:{line}"
        for path, tree in sources("shared", *SERVICES.values())
        for line in clock_calls(tree)
        if not path.startswith(tuple(CLOCK_HOMES))
    ]
    assert faults == []


def test_no_file_and_no_function_is_longer_than_one_reads_in_one_go() -> None:
    faults = []
    for path, tree in sources(*PRODUCT, "tests"):
        lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
        if lines > 400:
            faults.append(f"{path}: {lines} lines")
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        if not path.startswith("tests/"):
            faults += [f"{path}:{each.lineno} {each.name}: too long" for each in functions if own_lines(each) > 50]
    assert faults == []


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function's body, without its docstring and the functions within it, which count for themselves."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    within = [node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    first = {id(node): min([node.lineno, *(each.lineno for each in node.decorator_list)]) for node in within}
    lines = sum((node.end_lineno or 0) - node.lineno + 1 for node in body)
    return lines - sum((node.end_lineno or 0) - first[id(node)] + 1 for node in within)


def test_tests_do_not_sleep() -> None:
    faults = [
        f"{path}:{node.lineno}"
        for path, tree in sources("tests")
        # Benches keep a pace, which is no waiting for a fact.
        if path != "tests/support/wait.py" and not path.startswith("tests/bench/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "sleep" and isinstance(node.value, ast.Name)
        if node.value.id in {"time", "asyncio"}
    ]
    assert faults == []
