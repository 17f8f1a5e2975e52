"""Creating the environment: how failures are explained, and how pip's settings reach uv."""

from pathlib import Path

import pytest

from deploy.local import bootstrap
from deploy.local.bootstrap_failures import explain_failure, missing_venv


@pytest.mark.parametrize(
    ("printed", "problem"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("error: Failed to write\n  Caused by: No space left on device (os error 28)", "disk is full"),
        ("Temporary failure in name resolution\nERROR: No matching distribution found for uv==1", "cannot be reached"),
        (
            "error: Request failed\n  Caused by: client error (Connect)\n  Caused by: dns error: failed",
            "cannot be reached",
        ),
        ("ConnectTimeoutError: Connection to proxy timed out. (connect timeout=15)", "cannot be reached"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "differs from the lock"),
        ("error: Failed to read `uv`\n  Caused by: Hash mismatch for `uv==1`", "differs from the lock"),
        ("[Errno 13] Permission denied: '/x/.venv'", "cannot be written"),
        ("error: failed to create directory: Read-only file system (os error 30)", "cannot be written"),
        ("SSLCertVerificationError: certificate verify failed: self-signed", "not trusted"),
        ("HTTP status client error (401 Unauthorized) for url", "refused the request"),
        ("No solution found: because x has no wheels with a matching platform tag", "no build for this machine"),
        ("Collecting 403 packages\nan unknown failure\n\n", "an unknown failure"),
        ("", "it printed nothing"),
    ],
)
def test_a_failed_installer_is_explained_in_one_line(printed: str, problem: str) -> None:
    text = str(explain_failure(printed))
    assert problem in text
    assert "\n" not in text


def test_a_python_without_venv_gets_the_name_of_the_package_to_install() -> None:
    assert str(missing_venv("3.12")) == "this Python 3.12 has no venv; apt-get install python3.12-venv"


def test_pips_settings_reach_uv_under_its_own_names(tmp_path: Path) -> None:
    config = "global.index-url='mirror:1'\n:env:.trusted-host='a b'\nglobal.timeout='3'\n"
    config += f":env:.find-links='{tmp_path} /absent'"
    assert bootstrap.uv_environment(config, {"PATH": "p"}) == {
        "PATH": "p",
        "UV_DEFAULT_INDEX": "mirror:1",
        "UV_INSECURE_HOST": "a b",
        "UV_FIND_LINKS": str(tmp_path),
    }


def test_variables_of_uv_win() -> None:
    given = {"UV_DEFAULT_INDEX": "mine"}
    assert bootstrap.uv_environment("global.index-url='other'", given) == given


def test_the_environment_is_created_again_only_when_its_sources_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python").touch()
    lock = tmp_path / "requirements.lock"
    lock.write_text("a==1\n")
    monkeypatch.setattr(bootstrap, "LOCK", lock)
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "made-from")
    monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / "python")
    first = bootstrap.compute_digest()
    assert not bootstrap.is_current(first)
    (tmp_path / "made-from").write_text(first)
    assert bootstrap.is_current(bootstrap.compute_digest())
    lock.write_text("a==2\n")
    assert not bootstrap.is_current(bootstrap.compute_digest())


def test_a_full_disk_is_reported_before_anything_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "CHECKOUT", tmp_path)
    monkeypatch.setattr(bootstrap, "ENVIRONMENT", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "NEEDED_BYTES", 1 << 60)
    with pytest.raises(bootstrap.BootstrapError, match=r"the disk is full; free 2 GB and run make again"):
        bootstrap.check_machine()
