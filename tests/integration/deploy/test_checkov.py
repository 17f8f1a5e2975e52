"""Checkov on the rendered chart: all checks for Kubernetes pass, except for those that checkov.yaml skips."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from deploy.helm.rendering import render_set
from deploy.helm.tools import tools
from deploy.local.processes import plain_environment

EXCEPTIONS = Path(__file__).parents[3] / "deploy/helm/checkov.yaml"
# Requests would go to this address, where nothing listens.
NOWHERE = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")


def find_failures(folder: Path) -> set[tuple[str, str]]:
    """Run checkov on a folder, offline; return the failed checks with their resources."""
    argv = [str(tools() / "python"), str(tools() / "checkov"), "--framework", "kubernetes", "--skip-download"]
    argv += ["--config-file", str(EXCEPTIONS), "--directory", str(folder), "--quiet", "--compact", "--output", "json"]
    environment = plain_environment({"HOME": str(folder), "PATH": "/usr/bin:/bin", **NOWHERE})
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["summary"]["passed"] > 1000, done.stderr
    assert report["summary"]["parsing_errors"] == 0
    return {(each["check_id"], each["resource"]) for each in report["results"]["failed_checks"]}


def test_only_skipped_checks_fail(tmp_path: Path) -> None:
    for name in ("minimal", "full", "operators"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump_all(render_set(name)))
    # Checkov works: it reports a privileged container.
    pod = {"containers": [{"name": "x", "image": "x:1", "securityContext": {"privileged": True}}]}
    wrong = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "wrong"}, "spec": pod}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    found = find_failures(tmp_path)
    assert ("CKV_K8S_16", "Pod.default.wrong") in found
    assert {(check, resource) for check, resource in found if resource != "Pod.default.wrong"} == set()


def test_every_skipped_check_has_a_reason() -> None:
    text = EXCEPTIONS.read_text(encoding="utf-8").splitlines()
    excepted = [number for number, line in enumerate(text) if line.strip().startswith("- CKV")]
    assert excepted
    assert [text[number] for number in excepted if not text[number - 1].strip().startswith("#")] == []
