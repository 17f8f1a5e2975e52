"""The chart, rendered by helm: what Kubernetes gets is closed, complete, and told only settings that exist."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deploy.local.parts import PARTS
from tests.unit.deploy.documents import load_all
from tests.unit.deploy.service_settings import load_settings

CHART = Path(__file__).parents[3] / "deploy/helm/sluice"
HELM = shutil.which("helm") or shutil.which("helm", path=str(Path.home() / ".cache/sluice-tools"))
SETS = ("minimal", "full", "operators")
OPERATORS = {"keda.sh", "monitoring.coreos.com", "kafka.strimzi.io", "postgresql.cnpg.io"}
pytestmark = pytest.mark.skipif(HELM is None, reason="helm is not installed (go install helm.sh/helm/v3/cmd/helm)")


def helm(*words: str) -> str:
    assert HELM is not None
    done = subprocess.run([HELM, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@cache
def rendered(values: str) -> tuple[dict[str, Any], ...]:
    words = ["--namespace", "exports", "--kube-version", "1.31.0", "-f", str(CHART / f"ci/{values}.yaml")]
    return tuple(load_all(helm("template", "sluice", str(CHART), *words)))


def of_kind(values: str, kind: str) -> list[dict[str, Any]]:
    return [each for each in rendered(values) if each["kind"] == kind]


def pods(values: str) -> list[tuple[str, dict[str, Any]]]:
    found = of_kind(values, "Deployment") + of_kind(values, "Job")
    return [(each["metadata"]["name"], each["spec"]["template"]["spec"]) for each in found]


def environment(values: str, pod: dict[str, Any]) -> dict[str, str]:
    container = pod["containers"][0]
    maps = {each["metadata"]["name"]: each["data"] for each in of_kind(values, "ConfigMap")}
    given: dict[str, str] = {}
    for source in container.get("envFrom", []):
        given |= maps.get(source.get("configMapRef", {}).get("name"), {})
    return given | {each["name"]: each.get("value", "pod-name") for each in container.get("env", [])}


@pytest.mark.parametrize("values", SETS)
def test_helm_finds_nothing_to_mend(values: str) -> None:
    told = helm("lint", "--strict", "--kube-version", "1.31.0", "-f", str(CHART / f"ci/{values}.yaml"), str(CHART))
    assert "1 chart(s) linted, 0 chart(s) failed" in told


@pytest.mark.parametrize("values", SETS)
def test_every_process_accepts_its_settings(values: str, tmp_path: Path) -> None:
    for name, pod in pods(values):
        container = pod["containers"][0]
        settings = load_settings(container["args"], environment(values, pod), tmp_path).model_dump()
        mounts = {each["mountPath"] for each in container["volumeMounts"]}
        for value in environment(values, pod).values():
            if value.startswith(("/secrets/", "/tls/")):
                assert str(Path(value).parent) in mounts, f"{name}: {value}"
        if settings.get("store", "").startswith("file:///store"):
            assert "/store" in mounts, name
        assert {each["name"] for each in pod["volumes"]} == {each["name"] for each in container["volumeMounts"]}, name


@pytest.mark.parametrize("values", SETS)
def test_pods_are_restricted(values: str) -> None:
    for name, pod in pods(values):
        security, container = pod["securityContext"], pod["containers"][0]
        assert security["runAsNonRoot"], name
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        closed = container["securityContext"]
        assert closed["capabilities"] == {"drop": ["ALL"]}
        assert closed["readOnlyRootFilesystem"]
        assert not closed["allowPrivilegeEscalation"]
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert all(set(each) <= {"name", "secret", "emptyDir", "persistentVolumeClaim"} for each in pod["volumes"])
        assert container["resources"]["requests"]["cpu"]
        assert container["resources"]["limits"]["memory"]
        assert ":latest" not in container["image"]
        assert ":" in container["image"]
    assert all(each["automountServiceAccountToken"] is False for each in of_kind(values, "ServiceAccount"))
    assert of_kind(values, "Secret") == [], "secrets are only referred to"


@pytest.mark.parametrize("values", SETS)
def test_every_process_is_there_with_what_belongs_to_it(values: str) -> None:
    deployments = {each["metadata"]["name"]: each for each in of_kind(values, "Deployment")}
    run = {tuple(each["spec"]["template"]["spec"]["containers"][0]["args"]) for each in deployments.values()}
    assert run == {(part.package, part.command) for part in PARTS}
    for kind in ("Service", "PodDisruptionBudget", "ServiceAccount", "ConfigMap"):
        assert {each["metadata"]["name"] for each in of_kind(values, kind)} >= set(deployments), kind
    for name, each in deployments.items():
        pod = each["spec"]["template"]["spec"]
        container = pod["containers"][0]
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert set(each["spec"]["selector"]["matchLabels"].items()) <= set(labels.items())
        service = next(one for one in of_kind(values, "Service") if one["metadata"]["name"] == name)
        assert set(service["spec"]["selector"].items()) <= set(labels.items())
        assert container["livenessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == "/livez"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert {one["topologyKey"] for one in pod["topologySpreadConstraints"]} == {
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        }


@pytest.mark.parametrize("values", SETS)
def test_topics_and_tables_are_made_before_an_upgrade_s_processes(values: str) -> None:
    jobs = of_kind(values, "Job")
    hooks = {each["metadata"]["annotations"]["helm.sh/hook"] for each in jobs}
    assert hooks == ({"post-install,pre-upgrade"} if values == "operators" else {"pre-install,pre-upgrade"})
    steps = {tuple(each["spec"]["template"]["spec"]["containers"][0]["args"]) for each in jobs}
    expected = {(part.package, "migrate") for part in PARTS} | {("shared.kafka_admin", "create-topics")}
    assert steps == expected | (set() if values == "minimal" else {("shared.provision",)})


@pytest.mark.parametrize("values", SETS)
def test_R7_an_exporter_has_time_to_hand_its_work_back(values: str, tmp_path: Path) -> None:
    name, pod = next(each for each in pods(values) if each[0] == "sluice-exporter")
    settings = load_settings(pod["containers"][0]["args"], environment(values, pod), tmp_path).model_dump()
    assert pod["terminationGracePeriodSeconds"] >= settings["drain"].total_seconds() + 16, name
    assert "SIGTERM" in pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]


@pytest.mark.parametrize("values", SETS)
def test_the_ingress_splits_paths_as_the_job_api_passes_them_on(values: str) -> None:
    from job_api.api.proxy import PATHS

    (ingress,) = of_kind(values, "Ingress")
    paths = {each["path"]: each["backend"]["service"]["name"] for each in ingress["spec"]["rules"][0]["http"]["paths"]}
    assert paths == dict.fromkeys(PATHS, "sluice-history-api") | {"/": "sluice-job-api"}


@pytest.mark.parametrize("values", SETS)
def test_networks_are_closed_by_default(values: str) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(values, "NetworkPolicy")}
    deny = policies["sluice-deny"]
    assert set(deny) == {"podSelector", "policyTypes"}
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    for name, pod in [(each["metadata"]["name"], each["spec"]["template"]) for each in of_kind(values, "Deployment")]:
        assert set(deny["podSelector"]["matchLabels"].items()) <= set(pod["metadata"]["labels"].items()), name
    assert all(
        "ports" in rule for spec in policies.values() for rule in spec.get("egress", []) + spec.get("ingress", [])
    )


def test_exporters_are_scaled_by_work_and_not_by_lag() -> None:
    (scaled,) = of_kind("full", "ScaledObject")
    trigger = scaled["spec"]["triggers"][0]
    assert trigger["type"] == "prometheus"
    assert "sluice_runs_waiting" in trigger["metadata"]["query"]
    assert "sluice_runs_claimed" in trigger["metadata"]["query"]
    assert "lag" not in trigger["metadata"]["query"]
    assert trigger["metadata"]["threshold"] == "4", "a slot each"
    deployments = {each["metadata"]["name"]: each["spec"] for each in of_kind("full", "Deployment")}
    assert "replicas" not in deployments["sluice-exporter"]
    assert "replicas" not in deployments["sluice-job-api"]
    assert deployments["sluice-scheduler"]["replicas"] == 2


def test_alerts_come_with_links_to_the_operators_own_runbooks() -> None:
    rules = [
        rule
        for each in of_kind("full", "PrometheusRule")
        for group in each["spec"]["groups"]
        for rule in group["rules"]
    ]
    links = [rule["annotations"]["runbook_url"] for rule in rules if "alert" in rule]
    assert len(links) > 10
    assert all(link.startswith("https://wiki.example.com/sluice/OPERATIONS.md#") for link in links)
    monitors = of_kind("full", "ServiceMonitor")
    assert {each["spec"]["endpoints"][0]["relabelings"][0]["replacement"] for each in monitors} == {
        f"sluice-{name}"
        for name in ("job-api", "scheduler", "exporter", "history-recorder", "history-estimates", "history-api")
    }


def test_strimzi_gets_every_topic() -> None:
    from shared.topics import TOPICS

    topics = {each["metadata"]["name"]: each["spec"] for each in of_kind("operators", "KafkaTopic")}
    assert set(topics) == {topic.name for topic in TOPICS} | {topic.dead for topic in TOPICS}
    assert all(each["replicas"] == 3 and each["config"]["min.insync.replicas"] == 2 for each in topics.values())
    assert len(of_kind("operators", "Cluster")) == 1


def test_values_that_make_no_sense_are_refused() -> None:
    assert HELM is not None
    words = [HELM, "template", "sluice", str(CHART), "--kube-version", "1.31.0", "--set", "store.url=ftp://x"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "store" in done.stderr


@pytest.mark.parametrize("values", SETS)
def test_kubernetes_own_schemas_accept_every_resource(values: str) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for each in rendered(values):
        # Resources of operators have schemas of their own, which are not at hand here.
        if each["apiVersion"].partition("/")[0] in OPERATORS:
            continue
        validator.validate(each, "1.31", strict=True)
