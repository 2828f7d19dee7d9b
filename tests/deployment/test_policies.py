"""What must hold in every rendered document: hardened pods, no secret in sight, identity, every way out named."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from deployment.charts import CHART, ENVIRONMENTS, OFFICIAL, Document, of_kind, pod_specs, render, whole_values

NO_PRIVILEGES = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
}
SECRET = re.compile(r"TOKEN|PASSWORD|SECRET|_KEY\b|LEDGER_URL|VIEWPOINT_URL|WEBHOOK")
IDENTITY = "azure.workload.identity/use"
CALLERS_OF_KUBERNETES = {"Deployment/sync-dagster-daemon", "Deployment/sync-dagster-webserver"}
"""They start, watch and end run pods."""


def _containers(pod: Document) -> list[Document]:
    return [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_pod_is_hardened(environment: str) -> None:
    for name, pod in pod_specs(render(environment)).items():
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["spec"]["automountServiceAccountToken"] is (name in CALLERS_OF_KUBERNETES), name
        assert not pod["spec"].get("hostNetwork"), name
        for container in _containers(pod):
            assert container["securityContext"] == NO_PRIVILEGES, name
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
            assert "memory" in container["resources"]["limits"], name
            assert not container["image"].endswith(":latest"), name


@pytest.mark.parametrize("part", ["dagsterWebserver", "dagsterDaemon"])
@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_pods_of_the_official_chart_are_hardened(environment: str, part: str) -> None:
    pod = whole_values(environment)["dagster"][part]

    assert pod["securityContext"] == NO_PRIVILEGES
    assert pod["podSecurityContext"]["runAsUser"] == 10001
    assert pod["podSecurityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "memory" in pod["resources"]["limits"]
    assert {mount["mountPath"] for mount in pod["volumeMounts"]} == {"/tmp", "/opt/dagster/dagster_home"}
    assert pod["livenessProbe"]


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_run_pods_are_hardened_and_stop_between_two_calls(environment: str) -> None:
    launcher = whole_values(environment)["dagster"]["runLauncher"]["config"]["k8sRunLauncher"]
    pod = launcher["runK8sConfig"]["podSpecConfig"]

    assert launcher["securityContext"] == NO_PRIVILEGES
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["automountServiceAccountToken"] is False
    assert pod["terminationGracePeriodSeconds"] > 30
    assert "memory" in launcher["resources"]["limits"]


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_identity_is_in_all_four_places(environment: str) -> None:
    dagster, documents = whole_values(environment)["dagster"], render(environment)

    assert dagster["dagsterWebserver"]["labels"][IDENTITY] == "true"
    assert dagster["dagsterDaemon"]["labels"][IDENTITY] == "true"
    assert dagster["runLauncher"]["config"]["k8sRunLauncher"]["labels"][IDENTITY] == "true"
    for name, pod in pod_specs(documents).items():
        assert pod["metadata"]["labels"][IDENTITY] == "true", name
    accounts = of_kind(documents, "ServiceAccount")
    assert {one["metadata"]["name"] for one in accounts} == {
        *("safetyamp", "safetyamp-migration"),
        *(("safetyamp-dagster",) if OFFICIAL else ()),
    }
    for account in accounts:
        assert account["metadata"]["annotations"]["azure.workload.identity/client-id"], account["metadata"]["name"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_secret_in_a_config_map_argument_or_variable(environment: str) -> None:
    documents = render(environment)

    for config in of_kind(documents, "ConfigMap"):
        assert not [name for name in config["data"] if SECRET.search(name)], config["metadata"]["name"]
    for name, pod in pod_specs(documents).items():
        for container in _containers(pod):
            assert not SECRET.search(" ".join([*container.get("command", []), *container.get("args", [])])), name
            plain = [each["name"] for each in container.get("env", []) if "value" in each]
            assert not [each for each in plain if SECRET.search(each)], name
    assert of_kind(documents, "Secret") == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_everything_is_denied_but_what_is_explained(environment: str) -> None:
    policies = of_kind(render(environment), "NetworkPolicy")

    denying = [policy for policy in policies if policy["spec"]["podSelector"] == {}]
    assert [sorted(policy["spec"]["policyTypes"]) for policy in denying] == [["Egress", "Ingress"]]
    for policy in policies:
        assert len(policy["metadata"]["annotations"]["safetyamp/why"]) > 8, policy["metadata"]["name"]
        for rule in [*policy["spec"].get("egress", []), *policy["spec"].get("ingress", [])]:
            assert rule["ports"], policy["metadata"]["name"]
            assert rule.get("to") or rule.get("from"), policy["metadata"]["name"]


def _ways_out(environment: str, **overrides: Any) -> dict[str, set[int]]:
    """Ports to which each pod may go, by its component."""
    found: dict[str, set[int]] = {}
    for policy in of_kind(render(environment, **overrides), "NetworkPolicy"):
        labels = policy["spec"]["podSelector"].get("matchLabels", {})
        pod = labels.get("app.kubernetes.io/component") or labels.get("component") or "all"
        for rule in policy["spec"].get("egress", []):
            found.setdefault(pod, set()).update(port["port"] for port in rule["ports"])
    return found


def test_each_pod_reaches_what_it_needs_and_nothing_else() -> None:
    assert _ways_out("prod") == {
        "code": {53, 5432, 1433, 443, 587},
        "run_worker": {53, 5432, 1433, 443},
        "dagster-webserver": {53, 5432, 3030, 443, 6443},
        "dagster-daemon": {53, 5432, 3030, 443, 6443},
        "desk": {53, 5432, 443},
        "migration": {53, 5432, 443},
        "doctor": {53, 5432, 1433, 443, 587},
    }
    assert set(_ways_out("cronjob")) == {"sync", "desk", "migration", "doctor"}
    otlp = {"name": "otlp", "why": "traces", "to": [{"ipBlock": {"cidr": "10.0.0.9/32"}}], "ports": [4318]}
    opened = _ways_out("prod", networkPolicy={"extra": [otlp]})
    assert {pod for pod, ports in opened.items() if 4318 in ports} == {"code", "run_worker", "desk", "doctor"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_budget_blocks_the_drain_of_a_node(environment: str) -> None:
    budgets = of_kind(render(environment), "PodDisruptionBudget")

    assert budgets
    assert [budget["spec"]["maxUnavailable"] for budget in budgets] == [1] * len(budgets)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_selectors_find_the_pods_they_mean(environment: str) -> None:
    documents = render(environment)
    labels = [pod["metadata"]["labels"] for pod in pod_specs(documents).values()]

    def is_met(selector: dict[str, Any]) -> bool:
        return any(selector.items() <= each.items() for each in labels)

    own = [
        document for document in documents if document["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy")
    ]
    for document in own:
        selector = document["spec"].get("podSelector", document["spec"].get("selector", {}))
        wanted = selector.get("matchLabels", {}) if "matchLabels" in selector or not selector else selector
        # Run pods are started later (test_instance.py, test_whole.py); webserver and daemon are the official chart's.
        is_run = wanted.get("app.kubernetes.io/component") == "run_worker"
        is_unseen = is_run or ("component" in wanted and OFFICIAL is None)
        assert is_unseen or not wanted or is_met(wanted), document["metadata"]["name"]


def test_values_say_what_each_line_is_for() -> None:
    """Every value of this chart's own part has a comment above it or beside its siblings."""
    own = (CHART / "values.yaml").read_text(encoding="utf-8").split("\ndagster:\n")[0]
    top = [line for line in own.splitlines() if re.match(r"[a-zA-Z]+:", line)]

    assert len(top) > 15
    bare = [
        line
        for before, line in zip(own.splitlines(), own.splitlines()[1:], strict=False)
        if re.match(r"[a-zA-Z]+:", line)
        and not before.startswith("#")
        and line.split(":")[0] not in ("serviceAccount", "podDisruptionBudget")
    ]
    assert bare == []


def test_run_pods_take_over_variables_and_volumes() -> None:
    (code,) = [one for one in of_kind(render("dev"), "Deployment") if one["metadata"]["name"] == "safetyamp-code"]
    container = code["spec"]["template"]["spec"]["containers"][0]
    variables = {each["name"]: each.get("value") for each in container["env"]}

    context = json.loads(variables["DAGSTER_CONTAINER_CONTEXT"] or "")["k8s"]
    assert variables["DAGSTER_CURRENT_IMAGE"] == container["image"]
    assert context["volumes"] == code["spec"]["template"]["spec"]["volumes"]
    assert context["volume_mounts"] == container["volumeMounts"]
    assert context["env_secrets"] == ["safetyamp-secrets"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "safetyamp-snapshots"}} in context["volumes"]
