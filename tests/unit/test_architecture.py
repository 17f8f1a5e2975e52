"""The rules that keep packages apart: which may import which, and how long files and functions may grow."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.sources import Source, sources

SERVICES = {"job_api": "services/job-api", "scheduler": "services/scheduler", "exporter": "services/exporter"}
SERVICES["history"] = "services/history"
PRODUCT = ["shared", *SERVICES.values(), "client", "deploy"]
PURE = {"domain", "timetable", "instants", "validity", "object_names", "projections", "estimator", "errors", "events"}
PURE |= {"record_columns", "record_filters"}
PURE_SHARED = (
    *("shared.events", "shared.timetable", "shared.instants", "shared.validity", "shared.errors"),
    *("shared.object_names", "shared.record_columns", "shared.record_filters"),
)
PURE_MAY_NOT = {"asyncio", "os", "time", "logging", "threading", "random", "secrets", "socket", "subprocess"}

# One home per library: where it may be imported, as the beginnings of paths.
HOMES = {
    "aiokafka": ["shared/kafka"],
    "asyncpg": [
        "shared/postgres.py",
        "shared/postgres_errors.py",
        "shared/postgres_listener.py",
        "shared/limited_connection.py",
        "shared/provision.py",
        "services/exporter/exporter/source/connection.py",
        "services/exporter/exporter/source/faults.py",
        "services/exporter/exporter/source/snapshot.py",
        "deploy/",
    ],
    "prometheus_client": ["shared/observe.py"],
    "faust": ["services/history/history/app.py", "services/history/history/estimating/agents.py"],
    "structlog": ["shared/observe.py"],
    "asyncssh": ["services/exporter/exporter/delivery/sftp.py"],
    "obstore": [
        "shared/objectstore.py",
        "services/exporter/exporter/package/objects.py",
        "services/exporter/exporter/delivery/cloud.py",
        "services/exporter/exporter/delivery/source.py",
        "services/history/history/store/objects.py",
    ],
}
ENVIRONMENT_HOMES = [
    "shared/settings.py",
    "shared/provision.py",
    "shared/kafka_admin.py",
    "services/exporter/exporter/worker/process.py",  # keeps SLUICE_* from its child process
    "deploy/",
]
CLOCK_HOMES = ["shared/clock.py", "deploy/"]

# Classes with the same name in several places, with the reason. Every other name is used once, apart from the documents
# of the APIs, which are named after their resources, as generated clients show them.
SHARED_NAMES = {
    "Process": "each service's processes",
    "Settings": "each service's settings",
    "SluiceError": "the client is a distribution of its own, without the services' errors",
    "UnitOfWork": "each service's transaction: rows, audit entries and events",
    "UnitOfWorkFactory": "what begins each service's transaction",
}
API_DOCUMENTS = ("services/job-api/job_api/api/", "services/history/history/api/", "services/history/history/views/")
ROUTE_METHODS = {"get", "post", "put", "patch", "delete", "head", "options", "api_route"}

# The order inside a service: what the modules of a folder must not import, as the beginnings of module names.
KAFKA = ("shared.kafka", "shared.codec", "shared.outbox", "shared.topics")
TABLES = ("shared.postgres",)
RECORDING = ("history.recording.consumer", "history.recording.rebuild", "history.recording.recorder")
ESTIMATING = tuple(f"history.estimating.{name}" for name in ("agents", "estimates", "intake", "tracking"))
INNER_ORDER = {
    # Reading a source and packing files know no run, no Kafka and no table of Sluice. shared.events is allowed: its
    # value types (such as the timeframe) are the product's vocabulary and neither do I/O nor know a run's state.
    "services/exporter/exporter/source": (
        *("exporter.runs", "exporter.store", "exporter.worker", "exporter.package", "exporter.domain"),
        *("shared.events.runs", *KAFKA, *TABLES),
    ),
    "services/exporter/exporter/package": (
        *("exporter.runs", "exporter.store", "exporter.worker", "exporter.domain"),
        *("shared.events.runs", *KAFKA, *TABLES),
    ),
    "services/exporter/exporter/store": ("exporter.runs", "exporter.worker", "exporter.source", "exporter.package"),
    "services/exporter/exporter/worker": ("exporter.runs", "exporter.store", "exporter.delivery", *KAFKA, *TABLES),
    # Deliveries share leases with runs, and need neither the source nor what packs files.
    "services/exporter/exporter/delivery": ("exporter.source", "exporter.package", "exporter.worker"),
    "services/exporter/exporter/runs": ("exporter.delivery",),
    "services/exporter/exporter/domain": ("exporter.runs", "exporter.store", "exporter.worker", "exporter.source"),
    "services/history/history/recording": ("history.api", "history.service", "history.views", "history.estimating"),
    "services/history/history/estimating": ("history.api", "history.service", "history.views", *RECORDING),
    # The pure packages recording.projections and estimating.estimator are the domain: every package may import them.
    "services/history/history/store": ("history.api", "history.service", "history.views", *RECORDING, *ESTIMATING),
    "services/history/history/views": ("history.api", "history.service", "history.store"),
    "services/history/history/service": ("history.api",),
    "services/history/history/api": ("history.app",),
    "services/job-api/job_api/domain": ("job_api.api", "job_api.pages", "job_api.service", "job_api.store"),
    "services/job-api/job_api/store": ("job_api.api", "job_api.pages", "job_api.service"),
    "services/job-api/job_api/service": ("job_api.api", "job_api.pages", "job_api.bodies", "job_api.queries"),
    "services/job-api/job_api/bodies": ("job_api.api", "job_api.pages", "job_api.service", "job_api.store"),
    "services/job-api/job_api/queries": ("job_api.api", "job_api.pages", "job_api.service", "job_api.bodies"),
    "services/job-api/job_api/pages": ("job_api.api", "job_api.app"),
    "services/job-api/job_api/api": ("job_api.pages", "job_api.app"),
}


@pytest.mark.parametrize("service", SERVICES)
def test_services_never_import_each_other(service: str) -> None:
    others = (set(SERVICES) | {"sluice", "deploy", "tests"}) - {service}
    faults = {each.path: found for each in sources(SERVICES[service]) if (found := each.roots & others)}
    assert faults == {}


def test_shared_and_client_stand_alone() -> None:
    above = {*SERVICES, "deploy", "tests"}
    faults = {each.path: found for each in sources("shared") if (found := each.roots & (above | {"sluice"}))}
    faults |= {each.path: found for each in sources("client") if (found := each.roots & (above | {"shared"}))}
    assert faults == {}


@pytest.mark.parametrize("folder", INNER_ORDER)
def test_packages_of_a_service_import_only_what_stands_below_them(folder: str) -> None:
    assert list(sources(folder)), "the folder has moved: correct INNER_ORDER"
    faults = [
        f"{each.path} imports {name}"
        for each in sources(folder)
        for name in each.imports
        if any(name == upper or name.startswith(f"{upper}.") for upper in INNER_ORDER[folder])
    ]
    assert faults == []


def is_pure(path: str) -> bool:
    parts = Path(path).with_suffix("").parts
    return bool(PURE & set(parts)) and parts[0] in {"shared", "services"}


def test_pure_modules_know_no_clock_no_environment_and_do_not_wait() -> None:
    faults = []
    for source in sources("shared", *SERVICES.values()):
        path = source.path
        if not is_pure(path):
            continue
        package = Path(path).parts[2] if path.startswith("services") else "shared"
        for name in source.imports:
            root = name.partition(".")[0]
            own = root == package and is_pure(name.replace(".", "/").replace(package, f"services/x/{package}", 1))
            pure_shared = name.startswith(PURE_SHARED) or name == "shared"
            if root in PURE_MAY_NOT or (root in SERVICES | {"shared": ""} and not (own or pure_shared)):
                faults.append(f"{path} imports {name}")
            elif root not in SERVICES and root != "shared" and not is_standard(root):
                faults.append(f"{path} imports {name}, which is not the standard library")
        faults += [
            f"{path}:{each.lineno} waits" for each in source.functions() if isinstance(each, ast.AsyncFunctionDef)
        ]
        faults += [f"{path}:{line} reads the clock" for line in clock_calls(source)]
    assert faults == []


def is_standard(root: str) -> bool:
    return root in sys.stdlib_module_names


def clock_calls(source: Source) -> Iterator[int]:
    for node in source.nodes:
        match node:
            case ast.Attribute(value=ast.Name(id="datetime" | "date"), attr="now" | "utcnow" | "today"):
                yield node.lineno


@pytest.mark.parametrize("library", HOMES)
def test_one_home_per_library(library: str) -> None:
    allowed = HOMES[library]
    faults = [
        each.path
        for each in sources(*PRODUCT)
        if library in each.roots and not each.path.startswith(tuple(allowed)) and "/store" not in each.path
    ]
    assert faults == []


def test_the_environment_is_read_in_one_place() -> None:
    faults = []
    for source in sources(*PRODUCT):
        reads = any(
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr) in {("os", "environ"), ("os", "getenv")}
            for node in source.nodes
        ) or any(name in {"os.environ", "os.getenv"} for name in source.imports)
        if reads and not source.path.startswith(tuple(ENVIRONMENT_HOMES)):
            faults.append(source.path)
    assert faults == []


def test_the_system_clock_is_read_in_one_place() -> None:
    faults = [
        f"{each.path}:{line}"
        for each in sources("shared", *SERVICES.values())
        for line in clock_calls(each)
        if not each.path.startswith(tuple(CLOCK_HOMES))
    ]
    assert faults == []


def test_files_and_functions_are_short() -> None:
    faults = []
    for source in sources(*PRODUCT, "tests"):
        path, lines = source.path, len(source.text.splitlines())
        if lines > 400:
            faults.append(f"{path}: {lines} lines")
        if not path.startswith("tests/"):
            long = [each for each in source.functions() if own_lines(each) > 50]
            faults += [f"{path}:{each.lineno} {each.name}: too long" for each in long]
    assert faults == []


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's body without its docstring and its nested functions, which are counted alone."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    within = [node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    first = {id(node): min([node.lineno, *(each.lineno for each in node.decorator_list)]) for node in within}
    lines = sum((node.end_lineno or 0) - node.lineno + 1 for node in body)
    return lines - sum((node.end_lineno or 0) - first[id(node)] + 1 for node in within)


def is_decorated(function: ast.FunctionDef | ast.AsyncFunctionDef, methods: set[str]) -> bool:
    """Return whether a function is decorated with a call of one of the methods, such as `@router.get(...)`."""
    return any(
        isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr in methods
        for each in function.decorator_list
    )


def is_route(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function is a route of an APIRouter."""
    return is_decorated(function, ROUTE_METHODS)


def test_routes_are_short_functions_at_module_level() -> None:
    faults, count = [], 0
    for source in sources("shared", *SERVICES.values()):
        top = {id(node) for node in source.tree.body}
        for each in filter(is_route, source.functions()):
            count += 1
            if id(each) not in top:
                faults.append(f"{source.path}:{each.lineno} {each.name} is nested")
            if own_lines(each) > 8:
                faults.append(f"{source.path}:{each.lineno} {each.name} has {own_lines(each)} lines")
    assert count > 50
    assert faults == []


def public_functions(source: Source) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    """Yield the public functions of a module and its public classes, each with whether it takes `self` or `cls`."""
    for node in source.tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node, False
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for each in node.body:
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and not each.name.startswith("_"):
                    decorators = {name.id for name in each.decorator_list if isinstance(name, ast.Name)}
                    yield each, "staticmethod" not in decorators


def test_public_functions_take_at_most_three_positional_parameters() -> None:
    faults = []
    for source in sources(*PRODUCT):
        for function, takes_self in public_functions(source):
            count = len(function.args.posonlyargs) + len(function.args.args) - takes_self
            if count > 3:
                faults.append(f"{source.path}:{function.lineno} {function.name}: {count}")
    assert faults == []


def test_each_class_name_is_used_once() -> None:
    places: dict[str, list[str]] = {}
    for source in sources(*PRODUCT):
        for node in source.nodes:
            if isinstance(node, ast.ClassDef) and not source.path.startswith(API_DOCUMENTS):
                places.setdefault(node.name, []).append(source.path)
    assert {name: found for name, found in places.items() if len(found) > 1 and name not in SHARED_NAMES} == {}
    assert [name for name in SHARED_NAMES if len(places.get(name, [])) < 2] == [], "no longer needed in SHARED_NAMES"


def test_public_names_have_docstrings() -> None:
    faults = []
    for source in sources(*PRODUCT):
        classes = [node for node in source.tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
        functions = [function for function, _ in public_functions(source)]
        faults += [source.path] if ast.get_docstring(source.tree) is None else []
        faults += [
            f"{source.path}:{each.lineno} {each.name}"
            for each in (*classes, *functions)
            if ast.get_docstring(each) is None
        ]
    assert faults == []


def test_tests_do_not_sleep() -> None:
    faults = [
        f"{each.path}:{node.lineno}"
        for each in sources("tests")
        # Benches and a storm's load sleep to keep a pace, a proxy and an adversary to let a fault last: none of them
        # waits for something to become true.
        if each.path not in {"tests/support/wait.py", "tests/support/faulty_proxy.py"}
        and not each.path.startswith(("tests/bench/", "tests/chaos/system/adversary.py", "tests/chaos/system/load.py"))
        and ".sleep" in each.text
        for node in each.nodes
        if isinstance(node, ast.Attribute) and node.attr == "sleep" and isinstance(node.value, ast.Name)
        if node.value.id in {"time", "asyncio"}
    ]
    assert faults == []
