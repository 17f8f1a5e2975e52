"""The chart as Helm renders it: the resources are restricted and complete, and set only existing variables."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from deploy.helm.crds import SCHEMAS, SOURCES
from deploy.helm.rendering import CHART, KUBERNETES, RenderingFailed, lint, load_values, render, render_set
from deploy.local.services import ALL_PROCESSES, SERVICE_PROCESSES
from tests.unit.deploy.service_settings import load_settings

SETS = ("minimal", "full", "operators")


def of_kind(values: str, kind: str) -> list[dict[str, Any]]:
    return [each for each in render_set(values) if each["kind"] == kind]


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
def test_helm_lints_the_chart_without_findings(values: str) -> None:
    assert lint(load_values(values)) == []


def test_helm_reports_a_broken_chart(tmp_path: Path) -> None:
    chart = tmp_path / "sluice"
    (chart / "templates").mkdir(parents=True)
    for name in ("Chart.yaml", "values.yaml"):
        (chart / name).write_bytes((CHART / name).read_bytes())
    (chart / "templates/wrong.yaml").write_text("a: {{ .Values.nothing.here }}\n")
    assert "nil pointer" in " ".join(lint(load_values("minimal"), chart))


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
def test_every_process_has_its_resources(values: str) -> None:
    deployments = {each["metadata"]["name"]: each for each in of_kind(values, "Deployment")}
    run = {tuple(each["spec"]["template"]["spec"]["containers"][0]["args"]) for each in deployments.values()}
    # Deliverers need keys, which only the full values name.
    expected = ALL_PROCESSES if values == "full" else SERVICE_PROCESSES
    assert run == {(part.package, part.command) for part in expected}
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
def test_topics_and_tables_are_created_before_the_processes_of_an_upgrade(values: str) -> None:
    jobs = of_kind(values, "Job")
    hooks = {each["metadata"]["annotations"]["helm.sh/hook"] for each in jobs}
    assert hooks == ({"post-install,pre-upgrade"} if values == "operators" else {"pre-install,pre-upgrade"})
    steps = {tuple(each["spec"]["template"]["spec"]["containers"][0]["args"]) for each in jobs}
    expected = {(part.package, "migrate") for part in SERVICE_PROCESSES} | {("shared.kafka_admin", "create-topics")}
    assert steps == expected | (set() if values == "minimal" else {("shared.provision",)})


@pytest.mark.parametrize("values", SETS)
def test_R7_an_exporter_has_time_to_hand_its_work_back(values: str, tmp_path: Path) -> None:
    name, pod = next(each for each in pods(values) if each[0] == "sluice-exporter")
    settings = load_settings(pod["containers"][0]["args"], environment(values, pod), tmp_path).model_dump()
    assert pod["terminationGracePeriodSeconds"] >= settings["drain"].total_seconds() + 16, name
    assert "SIGTERM" in pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]


@pytest.mark.parametrize("values", SETS)
def test_the_ingress_sends_files_and_live_updates_to_history_and_all_else_through_job_api(values: str) -> None:
    from job_api.api.proxy import PATHS, RUNS_PATH

    (ingress,) = of_kind(values, "Ingress")
    paths = {each["path"]: each["backend"]["service"]["name"] for each in ingress["spec"]["rules"][0]["http"]["paths"]}
    direct = set(PATHS) - {RUNS_PATH}
    assert paths == dict.fromkeys(direct, "sluice-history-api") | {"/": "sluice-job-api"}


@pytest.mark.parametrize("values", SETS)
def test_U4_only_the_apis_trust_the_ingress_controller(values: str) -> None:
    believing = {
        name: environment(values, pod)[variable]
        for name, pod in pods(values)
        for variable in environment(values, pod)
        if variable.endswith("_HTTP_TRUSTED_PROXIES")
    }
    assert set(believing) == {"sluice-job-api", "sluice-history-api"}
    named = {"full": "127.0.0.1,10.42.7.0/28,10.42.9.5"}
    assert set(believing.values()) == {named.get(values, "127.0.0.1")}, "no network is trusted unless it is named"


@pytest.mark.parametrize("values", SETS)
def test_network_access_is_denied_by_default(values: str) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(values, "NetworkPolicy")}
    deny = policies["sluice-deny"]
    assert set(deny) == {"podSelector", "policyTypes"}
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    for name, pod in [(each["metadata"]["name"], each["spec"]["template"]) for each in of_kind(values, "Deployment")]:
        assert set(deny["podSelector"]["matchLabels"].items()) <= set(pod["metadata"]["labels"].items()), name
    assert all(
        "ports" in rule for spec in policies.values() for rule in spec.get("egress", []) + spec.get("ingress", [])
    )


def test_exporters_are_scaled_by_work_not_by_lag() -> None:
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


def test_alerts_link_to_the_operators_runbooks() -> None:
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
        for name in (
            "job-api",
            "scheduler",
            "exporter",
            "deliverer",
            "history-recorder",
            "history-estimates",
            "history-api",
        )
    }


def test_strimzi_gets_every_topic() -> None:
    from shared.kafka.topic_configs import to_topic_configs
    from shared.topics import TOPICS

    topics = {each["metadata"]["name"]: each["spec"] for each in of_kind("operators", "KafkaTopic")}
    assert set(topics) == set(to_topic_configs(TOPICS, 3))
    assert all(each["replicas"] == 3 and each["config"]["min.insync.replicas"] == 2 for each in topics.values())
    assert len(of_kind("operators", "Cluster")) == 1


def test_nonsensical_values_are_rejected() -> None:
    with pytest.raises(RenderingFailed, match="/store/url"):
        render({"store": {"url": "ftp://x"}})


@pytest.mark.parametrize("values", SETS)
def test_kubernetes_and_the_operators_schemas_accept_every_resource(values: str) -> None:
    for each in render_set(values):
        kind = (each["apiVersion"], each["kind"])
        if kind in SOURCES:
            schema = operator_schema(each["kind"])
            jsonschema.validate(each, schema)
            assert find_unchecked(each, schema, each["kind"]) == [], "run: python -m deploy.helm.crds"
        else:
            kubernetes_validate.validate(each, KUBERNETES.rpartition(".")[0], strict=True)


def test_every_schema_of_an_operator_is_used_and_rejects_unknown_names() -> None:
    every = {(each["apiVersion"], each["kind"]): each for name in SETS for each in render_set(name)}
    assert set(SOURCES) <= set(every)
    assert {path.stem for path in SCHEMAS.glob("*.json")} == {kind for _, kind in SOURCES}
    for kind in SOURCES:
        with pytest.raises(jsonschema.ValidationError, match="replica_count"):
            jsonschema.validate(
                every[kind] | {"spec": every[kind]["spec"] | {"replica_count": 1}}, operator_schema(kind[1])
            )
    deployment = every["apps/v1", "Deployment"]
    wrong = deployment | {"spec": deployment["spec"] | {"replica_count": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES.rpartition(".")[0], strict=True)


def operator_schema(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{kind}.json").read_text(encoding="utf-8"))
    return schema


def find_unchecked(value: Any, schema: Any, path: str) -> list[str]:
    """Return the paths of values for which the reduced schema has only the name."""
    if schema is True:
        return [path]
    if isinstance(value, list):
        return [found for each in value for found in find_unchecked(each, schema.get("items", {}), f"{path}[]")]
    if not isinstance(value, dict):
        return []
    parts = schema.get("properties", {})
    return [
        found for name, each in value.items() for found in find_unchecked(each, parts.get(name, {}), f"{path}.{name}")
    ]


def test_only_the_apis_get_the_identity_provider() -> None:
    issuers = {name: environment("full", pod).get("SLUICE_OIDC_ISSUER") for name, pod in pods("full")}
    apis = {"sluice-job-api", "sluice-history-api"}
    assert {name for name, issuer in issuers.items() if issuer == "https://id.example.com"} == apis
    assert all(not issuer for name, issuer in issuers.items() if name not in apis)
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind("full", "NetworkPolicy")}
    ways_out = [rule["ports"] for rule in policies["sluice-job-api"]["egress"]]
    assert [{"port": 443, "protocol": "TCP"}] in ways_out


def test_pods_run_only_on_supported_processors() -> None:
    for values in SETS:
        selectors = {name: pod["nodeSelector"] for name, pod in pods(values)}
        assert {each["kubernetes.io/arch"] for each in selectors.values()} == {"amd64"}
    assert dict(pods("full"))["sluice-exporter"]["nodeSelector"] == {"kubernetes.io/arch": "amd64", "disk": "fast"}
