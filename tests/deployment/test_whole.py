"""Our chart and the official one, rendered together (see charts.py): each has what it takes from the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import helm_python
import jsonschema
import kubernetes_validate
import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher.base import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.test_utils import create_run_for_test
from scripted_server import ScriptedServer, answer

from deployment.charts import (
    CHART,
    OFFICIAL,
    Document,
    merged,
    of_kind,
    own_chart,
    pod_specs,
    render,
    values,
    whole_values,
)
from deployment.test_chart import VERSIONS
from deployment.test_policies import NO_PRIVILEGES

pytestmark = pytest.mark.skipif(OFFICIAL is None, reason="DAGSTER_CHART names no copy of the official chart")
ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ("dev", "staging", "prod")
each_environment = pytest.mark.parametrize("environment", ENVIRONMENTS)


def _named(documents: list[Document], kind: str, name: str) -> Document:
    (found,) = [document for document in of_kind(documents, kind) if document["metadata"]["name"] == name]
    return found


def _container(documents: list[Document], name: str) -> Document:
    (found,) = pod_specs(documents)[f"Deployment/{name}"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def _instance_yaml(environment: str) -> dict[str, Any]:
    text = _named(render(environment), "ConfigMap", "sync-dagster-instance")["data"]["dagster.yaml"]
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_the_copy_is_the_chart_that_is_pinned() -> None:
    pinned = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["dependencies"][0]["version"]

    assert yaml.safe_load((Path(OFFICIAL or "") / "Chart.yaml").read_text(encoding="utf-8"))["version"] == pinned


@each_environment
def test_official_chart_takes_its_values(environment: str) -> None:
    def without_pages(schema: Any) -> Any:
        if isinstance(schema, dict):
            is_page = str(schema.get("$ref", "")).startswith("https:")
            return {} if is_page else {name: without_pages(inner) for name, inner in schema.items()}
        return [without_pages(inner) for inner in schema] if isinstance(schema, list) else schema

    folder = Path(OFFICIAL or "")
    schema = without_pages(json.loads((folder / "values.schema.json").read_text(encoding="utf-8")))
    own = yaml.safe_load((folder / "values.yaml").read_text(encoding="utf-8"))

    jsonschema.validate(merged(own, whole_values(environment)["dagster"]), schema)


@each_environment
def test_instance_in_the_cluster_behaves_as_the_repository_s(environment: str, tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(_instance_yaml(environment)), encoding="utf-8")
    own = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    own.pop("storage")
    own["run_monitoring"].pop("start_timeout_seconds")  # a pod may have to fetch its image first

    found = InstanceRef.from_dir(str(tmp_path))  # Dagster checks it

    settings = found.settings or {}
    settings["retention"].pop("auto_materialize", None)  # the chart's own; there are no such sensors
    settings["retention"]["sensor"]["purge_after_days"].pop("started")
    for name, wanted in own.items():
        assert {key: settings[name][key] for key in wanted} == wanted, name
    assert type(found.run_coordinator).__name__ == "QueuedRunCoordinator"


@each_environment
def test_storage_in_the_cluster_is_the_database_of_the_values(environment: str) -> None:
    given = whole_values(environment)["dagster"]["postgresql"]
    storages = [storage for name, storage in _instance_yaml(environment).items() if name.endswith("_storage")]

    assert len(storages) == 3
    for storage in storages:
        database = storage["config"]["postgres_db"]
        assert database["scheme"] == "postgresql+psycopg2"
        assert (database["hostname"], database["db_name"]) == (given["postgresqlHost"], given["postgresqlDatabase"])
        assert database["params"] == given["postgresqlParams"]


@pytest.fixture
def job(environment: str, tmp_path: Path, server: ScriptedServer) -> Document:
    """What Dagster's launcher, as the chart configures it, posts to Kubernetes for a run of the code location."""
    server.respond(lambda asked: answer(asked.json, 201))
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": server.url}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": {}}],
                "current-context": "c",
            }
        ),
        encoding="utf-8",
    )
    config = {name: part for name, part in _instance_yaml(environment).items() if not name.endswith("_storage")}
    config["run_launcher"]["config"] |= {"load_incluster_config": False, "kubeconfig_file": str(kubeconfig)}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        variables = {
            each["name"]: each.get("value") for each in _container(render(environment), "safetyamp-code")["env"]
        }
        repository = RepositoryPythonOrigin(
            executable_path="/opt/safetyamp/bin/python",
            code_pointer=ModuleCodePointer("safetyamp_pipelines.definitions", "defs"),
            container_image=variables["DAGSTER_CURRENT_IMAGE"],
            container_context=json.loads(variables["DAGSTER_CONTAINER_CONTEXT"] or ""),
        )
        run = create_run_for_test(
            instance, job_name="sync_all", job_code_origin=JobPythonOrigin("sync_all", repository)
        )
        instance.run_launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=None))
    posted = server.asked[0]
    assert posted.path == "/apis/batch/v1/namespaces/safetyamp/jobs"
    document: Document = posted.json
    return document


def _variables(container: Document) -> set[str]:
    return {each["name"] for each in container["env"]}


@each_environment
def test_every_pod_that_opens_the_instance_has_the_variables_it_names(environment: str, job: Document) -> None:
    documents, wanted = render(environment), set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            if set(value) == {"env"}:
                wanted.add(value["env"])
            for inner in value.values():
                collect(inner)

    collect(_instance_yaml(environment))
    assert wanted == {"DAGSTER_PG_PASSWORD"}
    for name in ("sync-dagster-webserver", "sync-dagster-daemon", "safetyamp-code"):
        assert wanted <= _variables(_container(documents, name)), name
    assert wanted <= _variables(job["spec"]["template"]["spec"]["containers"][0])


@each_environment
def test_webserver_and_daemon_find_the_code_location(environment: str) -> None:
    documents = render(environment)
    workspace = _named(documents, "ConfigMap", "sync-dagster-workspace-yaml")["data"]["workspace.yaml"]
    (server,) = [each["grpc_server"] for each in yaml.safe_load(workspace)["load_from"]]

    (port,) = _named(documents, "Service", server["host"])["spec"]["ports"]
    container = _container(documents, "safetyamp-code")
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert port["port"] == server["port"] == ports[port["targetPort"]]
    assert str(server["port"]) == container["command"][container["command"].index("--port") + 1]


@each_environment
def test_pages_of_dagster_are_where_service_probes_policy_and_notes_say(environment: str) -> None:
    documents = render(environment)
    (port,) = _named(documents, "Service", "sync-dagster-webserver")["spec"]["ports"]
    container = _container(documents, "sync-dagster-webserver")

    assert [each["containerPort"] for each in container["ports"]] == [port["port"]] == [3000]
    assert f"-p {port['port']} " in container["command"][-1]
    assert {container[f"{probe}Probe"]["httpGet"]["port"] for probe in ("readiness", "liveness")} == {port["port"]}
    (rule,) = _named(documents, "NetworkPolicy", "safetyamp-webserver-ingress-webserver")["spec"]["ingress"]
    assert [each["port"] for each in rule["ports"]] == [port["port"]]
    with helm_python.Chart.load(str(own_chart())) as chart:
        files = chart.render(values(environment), name="sync", namespace="safetyamp")
    (notes,) = [text for path, text in files.items() if path == f"{CHART.name}/templates/NOTES.txt"]
    assert f"service/sync-dagster-webserver {port['port']} " in notes


def test_a_long_release_name_and_another_namespace_are_used_throughout() -> None:
    release, namespace = "r" * 53, "elsewhere"  # Helm takes no longer one
    with helm_python.Chart.load(str(own_chart())) as chart:
        files = chart.render(values("prod"), name=release, namespace=namespace)
    notes = files[f"{CHART.name}/templates/NOTES.txt"]
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    documents = [one for text in texts for one in yaml.load_all(text, yaml.CSafeLoader) if one]

    assert max(len(one["metadata"]["name"]) for one in of_kind(documents, "Service")) <= 63
    (pages,) = [one for one in of_kind(documents, "Service") if one["metadata"]["name"].startswith(release)]
    assert f"--namespace {namespace} port-forward service/{pages['metadata']['name']} 3000" in notes
    variables = {each["name"]: each.get("value") for each in _container(documents, "safetyamp-code")["env"]}
    assert json.loads(variables["DAGSTER_CONTAINER_CONTEXT"] or "")["k8s"]["namespace"] == namespace
    (instance,) = [one for one in of_kind(documents, "ConfigMap") if "dagster.yaml" in (one.get("data") or {})]
    launcher = yaml.safe_load(instance["data"]["dagster.yaml"])["run_launcher"]["config"]
    assert launcher["job_namespace"] == namespace
    assert launcher["instance_config_map"] == instance["metadata"]["name"]


@each_environment
def test_every_name_that_a_pod_refers_to_is_made_by_the_release_or_the_one_secret(
    environment: str, job: Document
) -> None:
    documents = render(environment)
    made = {(document["kind"], document["metadata"]["name"]) for document in documents}
    made |= {("Secret", "safetyamp-secrets")}

    for name, pod in {**pod_specs(documents), "a run": job["spec"]["template"]}.items():
        used = {("ServiceAccount", pod["spec"]["serviceAccountName"])} if "serviceAccountName" in pod["spec"] else set()
        for container in [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]:
            for source in container.get("envFrom") or []:
                used |= {("ConfigMap", source["configMapRef"]["name"])} if "configMapRef" in source else set()
                used |= {("Secret", source["secretRef"]["name"])} if "secretRef" in source else set()
            for variable in container.get("env") or []:
                if "secretKeyRef" in variable.get("valueFrom", {}):
                    used.add(("Secret", variable["valueFrom"]["secretKeyRef"]["name"]))
        for volume in pod["spec"].get("volumes") or []:
            used |= {("ConfigMap", volume["configMap"]["name"])} if "configMap" in volume else set()
            if "persistentVolumeClaim" in volume:
                used.add(("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]))
        assert used <= made, name


@each_environment
def test_the_pod_of_a_run_is_hardened_and_found_by_the_policies(environment: str, job: Document) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(job, version, strict=True)
    pod = job["spec"]["template"]
    (container,) = pod["spec"]["containers"]

    assert container["securityContext"] == NO_PRIVILEGES
    assert pod["spec"]["securityContext"]["runAsUser"] == 10001
    assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["serviceAccountName"] == "safetyamp"
    assert pod["spec"]["terminationGracePeriodSeconds"] == 120
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]
    assert container["image"] == "registry.example.com/safetyamp-pipelines:0.1.0"
    assert (pod["metadata"]["labels"].get("azure.workload.identity/use") == "true") == (environment != "dev")
    policies = [
        policy["metadata"]["name"]
        for policy in of_kind(render(environment), "NetworkPolicy")
        if policy["spec"]["podSelector"].get("matchLabels", {}).items() <= pod["metadata"]["labels"].items()
    ]
    assert {f"safetyamp-runs-egress-{way}" for way in ("dns", "postgresql", "sql-server", "https")} < set(policies)
    assert not [name for name in policies if not name.startswith(("safetyamp-runs-", "safetyamp-deny"))]
