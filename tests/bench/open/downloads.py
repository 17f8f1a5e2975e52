"""Openers that are downloaded: Bouncy Castle, node-forge, a Go module; and an OpenSSL that is built from source."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.local.folders import cache_folder, create_folder
from deploy.local.jars import Jar, find_repository, parse_lock, verify
from deploy.local.java import find_java
from tests.bench.open.openers import Command, EncryptedFile, Opener, OpenSsl, Unpacker, find_version, run

HERE = Path(__file__).parent
NODE_FORGE = "1.4.3"
OPENSSL_CRATE = "300"
"""The major version of the crate `openssl-src`: OpenSSL 3, and the newest release of it."""
CONFIGURATION = "[req]\ndistinguished_name = name\n[name]\n"


class BouncyCastle(Opener):
    """Bouncy Castle, called by a small program."""

    def __init__(self, class_path: str, version: str) -> None:
        self.name, self.version, self._class_path = "Bouncy Castle (Java)", version, class_path

    def open(self, file: EncryptedFile) -> bytes:
        """Return the content of a file. Raises NotOpened."""
        mode = "gcm" if file.cipher == "aes-256-gcm" else "cbc"
        return run([*find_java().command(self._class_path), "OpenCms", mode, *file.write_key(), file.path])


class Program(Opener):
    """A program that is called with key, certificate and file."""

    def __init__(self, name: str, version: str, command: list[str | Path], environment: dict[str, str]) -> None:
        self.name, self.version, self._command, self._environment = name, version, command, environment

    def open(self, file: EncryptedFile) -> bytes:
        """Return the content of a file. Raises NotOpened."""
        return run([*self._command, *file.write_key(), file.path], environment=self._environment)


def fetch_java(folder: Path) -> tuple[BouncyCastle, Unpacker]:
    """Return Bouncy Castle and Java's ZipInputStream, whose program is compiled now."""
    jars = {each.name: _resolve(each) for each in parse_lock((HERE / "jars.lock").read_text(encoding="utf-8"))}
    [compiler] = [path for name, path in jars.items() if name.startswith("ecj")]
    libraries = os.pathsep.join(str(path) for path in jars.values() if path != compiler)
    java, classes = find_java(), folder / "classes"
    options: Command = ["-17", "-nowarn", "-proc:none", "-d", classes, "-cp", libraries]
    run([java.program, "-jar", compiler, *options, HERE / "OpenCms.java"])
    class_path = f"{classes}{os.pathsep}{libraries}"
    [release] = {name.removesuffix(".jar").rpartition("-")[2] for name in jars if name.startswith("bcpkix")}
    unpacker = Unpacker("Java ZipInputStream", str(java.version), [*java.command(class_path), "OpenCms", "zip"])
    return BouncyCastle(class_path, release), unpacker


def _resolve(jar: Jar) -> Path:
    import jgo

    group, artifact, release = jar.coordinates.split(":")
    for found in jgo.resolve(jar.coordinates, repositories={"central": find_repository()}):
        if (found.groupId, found.artifactId, found.version) == (group, artifact, release):
            path = Path(found.resolve())
            verify(jar, path)
            return path
    raise FileNotFoundError(jar.coordinates)


def fetch_node(folder: Path) -> Program:
    """Return node-forge. Needs node and npm."""
    options: Command = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder]
    run(["npm", "install", *options, f"node-forge@{NODE_FORGE}"])
    environment = dict(os.environ) | {"NODE_MODULES": str(folder / "node_modules")}
    name = f"node-forge (Node {find_version(['node', '--version'])})"
    return Program(name, NODE_FORGE, ["node", HERE / "open_cms.mjs"], environment)


def fetch_go(folder: Path) -> Program:
    """Return smallstep's pkcs7, compiled into a program. Needs go."""
    program = folder / "open_cms"
    subprocess.run(["go", "build", "-o", program, "."], cwd=HERE / "go", check=True)
    release = (HERE / "go" / "go.mod").read_text(encoding="utf-8").split("smallstep/pkcs7 v")[1].split()[0]
    return Program(f"smallstep/pkcs7 (Go {find_version(['go', 'version'])})", release, [program], dict(os.environ))


def build_openssl() -> Path:
    """Return the `openssl` program of the newest OpenSSL 3, built once from the crate. Needs cargo, perl and make."""
    folder = create_folder(cache_folder() / "openssl-newest")
    program = folder / "vendor" / "openssl-src" / "openssl" / "apps" / "openssl"
    if not program.exists():
        (folder / "src").mkdir(exist_ok=True)
        (folder / "src" / "lib.rs").touch()
        manifest = '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n'
        manifest += f'[dependencies]\nopenssl-src = "{OPENSSL_CRATE}"\n'
        (folder / "Cargo.toml").write_text(manifest, encoding="utf-8")
        subprocess.run(["cargo", "vendor", "--quiet", "vendor"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        source = program.parents[1]
        # The crate has no configuration, without which `openssl req` does not work.
        program.with_name("openssl.cnf").write_text(CONFIGURATION, encoding="utf-8")
        subprocess.run(["./Configure", "no-shared", "no-tests", "no-docs"], cwd=source, check=True)
        subprocess.run(["make", f"-j{os.cpu_count()}", "build_programs"], cwd=source, check=True)
    return program


def find_newest_openssl() -> OpenSsl | None:
    """Return `openssl cms` of the newest OpenSSL, if `make openssl-newest` has built it."""
    program = cache_folder() / "openssl-newest" / "vendor" / "openssl-src" / "openssl" / "apps" / "openssl"
    return OpenSsl("cms", str(program)) if program.exists() else None


def fetch_all(folder: Path) -> tuple[list[Opener], list[Unpacker], list[str]]:
    """Return the openers and unpackers that could be had, and the names of those that could not, with the reason."""
    openers: list[Opener] = []
    absent = []
    newest = find_newest_openssl()
    if newest is not None:
        openers.append(newest)
    else:
        absent.append("a newer openssl: make openssl-newest builds it")
    bouncy_castle, zip_input = fetch_java(folder)
    openers.append(bouncy_castle)
    if shutil.which("npm"):
        openers.append(fetch_node(folder))
    else:
        absent.append("node-forge: node and npm are not installed")
    if shutil.which("go"):
        openers.append(fetch_go(folder))
    else:
        absent.append("smallstep/pkcs7: go is not installed")
    return openers, [zip_input], absent


if __name__ == "__main__":
    sys.stdout.write(f"{build_openssl()}\n")
