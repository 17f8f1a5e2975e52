"""Creates the secrets of deploy/compose.yaml once: `python3 -m deploy.compose.make_secrets`; needs Python and openssl.

Each file contains one secret. The folder is closed to other users; the files are not, because containers read them as
another user. Existing files are kept.
"""

import base64
import secrets
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).with_name("secrets")
ROLES = {
    "owner": "sluice_owner",
    "job_api": "job_api",
    "job_api_system": "job_api_system",
    "scheduler": "scheduler",
    "exporter": "exporter",
    "history": "history",
}
"""The roles of PostgreSQL, by the name of their secrets."""


def make_secrets(folder: Path) -> list[str]:
    """Write the missing secrets, and return their names."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    # Hexadecimal needs no escaping in addresses and SQL.
    fresh = {name: secrets.token_hex(24) for name in ("postgres_password", "source_password", "grafana_password")}
    fresh |= {f"{role}_password": secrets.token_hex(24) for role in ROLES}
    written = [name for name, text in fresh.items() if _write(folder / name, text)]
    addresses = {
        "admin_dsn": f"postgresql://postgres:{_read(folder, 'postgres_password')}@postgres/sluice",
        "source_dsn": f"postgresql://sluice_reader:{_read(folder, 'source_password')}@postgres/contact_history",
    }
    for name, role in ROLES.items():
        addresses[f"{name}_dsn"] = f"postgresql://{role}:{_read(folder, f'{name}_password')}@postgres/sluice"
    written += [name for name, text in addresses.items() if _write(folder / name, text)]
    return written + _make_sealing_keys(folder)


def _make_sealing_keys(folder: Path) -> list[str]:
    """Write the deliverers' key pair, unless there is one, and return the names of the files."""
    private, public = folder / "delivery_private_keys", folder / "delivery_public_key"
    if private.exists():
        return []
    # The last 32 bytes of both DER structures are the raw X25519 keys, as deliverers and job-api read them.
    key = _run_openssl(b"", "genpkey", "-algorithm", "X25519", "-outform", "DER")
    _write(private, base64.b64encode(key[-32:]).decode())
    shown = _run_openssl(key, "pkey", "-inform", "DER", "-pubout", "-outform", "DER")
    public.unlink(missing_ok=True)
    _write(public, base64.b64encode(shown[-32:]).decode())
    return [private.name, public.name]


def _run_openssl(given: bytes, *arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], input=given, stdout=subprocess.PIPE, check=True).stdout


def _read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8").strip()


def _write(path: Path, text: str) -> bool:
    if path.exists():
        return False
    path.write_text(text + "\n", encoding="utf-8")
    path.chmod(0o644)
    return True


if __name__ == "__main__":
    sys.stdout.write(f"written to {FOLDER}: {', '.join(make_secrets(FOLDER)) or 'nothing, all secrets exist'}\n")
