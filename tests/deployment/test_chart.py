"""Each environment and mode renders with Helm, and its documents are what Kubernetes takes."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import helm_python
import jsonschema
import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from deployment.charts import CHART, ENVIRONMENTS, Document, of_kind, own_chart, pod_specs, render, values
from deployment.operators import SPECS
from deployment.schema import text
from safetyamp_pipelines.cli.main import app

VERSIONS = ("1.31", kubernetes_validate.latest_version())
CUSTOM = {kind for _, kind in SPECS}
"""Kinds of operators, whose schemas Kubernetes does not carry."""


@pytest.mark.parametrize("version", VERSIONS)
def test_every_document_is_valid(version: str) -> None:
    shapes: dict[str, Document] = {}
    for environment in ("defaults", *ENVIRONMENTS):
        documents = [document for document in render(environment) if document["kind"] not in CUSTOM]
        assert len(documents) > 10
        shapes.update({_shape(document): document for document in documents})

    for document in shapes.values():
        kubernetes_validate.validate(document, version, strict=True)


def _shape(document: Document) -> str:
    """Documents that differ in texts and numbers alone need no second look, which costs a tenth of a second."""

    def types(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: types(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return sorted({str(types(inner)) for inner in value})
        return type(value).__name__

    return document["kind"] + str(types({name: each for name, each in document.items() if name != "data"}))


@pytest.mark.parametrize(
    "overrides",
    [
        {"monitoring": {"scrape": "serviceMonitor", "rules": True}, "secrets": {"source": "externalSecret"}},
        {
            "monitoring": {"scrape": "podMonitor"},
            "secrets": {"source": "csi", "csi": {"keyVaultName": "v", "tenantId": "t"}},
        },
    ],
)
def test_resources_of_operators_have_what_their_definitions_require(overrides: dict[str, Any]) -> None:
    documents = [document for document in render("prod", **overrides) if document["kind"] in CUSTOM]
    assert len(documents) >= 2
    for document in documents:
        jsonschema.validate(document["spec"], SPECS[document["apiVersion"], document["kind"]])
        assert set(document) == {"apiVersion", "kind", "metadata", "spec"}
    vaults = [yaml.safe_load(one["spec"]["parameters"]["objects"]) for one in of_kind(documents, "SecretProviderClass")]
    for objects in vaults:  # a list of texts, each YAML itself
        assert {yaml.safe_load(one)["objectType"] for one in objects["array"]} == {"secret"}


def test_every_program_that_is_started_is_in_the_image() -> None:
    ours = {path.name for path in Path(sys.executable).parent.iterdir()} | {"bash", "install", "test"}
    services = [
        service
        for name in ("compose.yaml", "compose.sandbox.yaml")
        for service in yaml.safe_load((CHART.parents[1] / name).read_text(encoding="utf-8"))["services"].values()
        if not str(service.get("image", "")).startswith("postgres:")
    ]
    started = [service["command"] for service in services if "command" in service]
    started += [service["healthcheck"]["test"][1:] for service in services if "healthcheck" in service]
    for environment in ENVIRONMENTS:
        for pod in pod_specs(render(environment)).values():
            for container in pod["spec"]["containers"]:
                probes = [container.get(f"{when}Probe", {}) for when in ("startup", "readiness", "liveness")]
                if "postgres:" not in container["image"]:
                    started += [container["command"], *(one["exec"]["command"] for one in probes if "exec" in one)]
    started += [command[-1].split() for command in started if command[0] == "/bin/bash"]  # the official chart's
    assert len(started) > 20
    assert {Path(command[0]).name for command in started} <= ours


def test_a_wrong_document_would_be_found() -> None:
    (cronjob,) = of_kind(render("cronjob"), "CronJob")
    cronjob["spec"]["schedul"] = "* * * * *"

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(cronjob, "1.31", strict=True)


@pytest.mark.parametrize("environment", ["defaults", *ENVIRONMENTS])
def test_helm_finds_nothing_to_correct(environment: str) -> None:
    found = helm_python.lint(str(own_chart()), values(environment), strict=True, kube_version="1.31.0")

    assert [message for message in found["messages"] if message["severity"] > 1] == []


@pytest.mark.parametrize("environment", ["defaults", *ENVIRONMENTS])
def test_no_two_documents_share_a_name(environment: str) -> None:
    names = [(document["kind"], document["metadata"]["name"]) for document in render(environment)]

    assert len(names) == len(set(names))


def test_schema_is_the_one_of_values_and_settings() -> None:
    stored = (CHART / "values.schema.json").read_text(encoding="utf-8")

    assert stored == text(), "write it anew: make values-schema"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"settings": {"SAFETYAMP_TOKEN": "abc"}}, "SAFETYAMP_TOKEN"),
        ({"settings": {"SYNC_INTERVALL_MINUTES": "15"}}, "SYNC_INTERVALL_MINUTES"),
        ({"settings": {"LOG_FORMAT": "xml"}}, "LOG_FORMAT"),
        ({"mode": "daemon"}, "mode"),
        ({"desk": {"replica": 2}}, "replica"),
    ],
)
def test_wrong_values_are_refused_by_name(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(helm_python.HelmError, match=named):
        render("prod", **wrong)


@pytest.mark.parametrize(
    ("environment", "wrong", "advice"),
    [
        ("prod", {"mode": "cronjob"}, "dagster.enabled"),
        ("prod", {"image": {"tag": "0.2.0"}}, "dagsterWebserver.image"),
        ("prod", {"dagster": {"dagsterDaemon": {"labels": {"azure.workload.identity/use": "false"}}}}, "dagsterDaemon"),
        ("prod", {"dagster": {"runLauncher": {"config": {"k8sRunLauncher": {"labels": None}}}}}, "k8sRunLauncher"),
        ("prod", {"dagster": {"serviceAccount": {"annotations": None}}}, "client-id"),
        ("prod", {"workloadIdentity": {"clientId": ""}}, "workloadIdentity.clientId"),
        ("prod", {"desk": {"trustedProxies": []}}, "trustedProxies"),
        ("prod", {"snapshots": {"url": ""}}, "snapshots.url"),
        ("prod", {"jira": {"instances": '[{"name": "a", "token": "t"}]'}}, "JIRA_TOKENS"),
        ("prod", {"settings": {"HTTP_REQUEST_TIMEOUT": "120"}}, "terminationGracePeriodSeconds"),
        ("prod", {"networkPolicy": {"smtp": []}}, "networkPolicy.smtp"),
        ("prod", {"settings": {"SMTP_PORT": "25"}}, "smtpPort"),
        ("dev", {"dagster": {"postgresql": {"postgresqlHost": "elsewhere"}}}, "postgresqlHost"),
        ("dev", {"secrets": {"name": "others"}}, "postgresqlSecretName"),
    ],
)
def test_values_that_contradict_each_other_are_refused(environment: str, wrong: dict[str, Any], advice: str) -> None:
    with pytest.raises(helm_python.HelmRenderError, match=advice):
        render(environment, **wrong)


def test_cronjob_mode_runs_one_sync_at_a_time_and_nothing_of_dagster() -> None:
    documents = render("cronjob")

    (cronjob,) = of_kind(documents, "CronJob")
    job = cronjob["spec"]["jobTemplate"]["spec"]
    assert cronjob["spec"]["concurrencyPolicy"] == "Forbid"
    assert job["backoffLimit"] == 0
    assert job["activeDeadlineSeconds"] == 5400
    assert job["template"]["spec"]["containers"][0]["command"] == ["safetyamp", "sync"]
    assert set(pod_specs(documents)) == {
        "CronJob/safetyamp-sync",
        "Deployment/safetyamp-desk",
        "Job/safetyamp-migration",
        "Pod/safetyamp-doctor",
    }


def test_sync_yaml_reaches_every_pod_that_reads_rules() -> None:
    documents = render("prod", syncYaml="companies: [1, 2]\n")

    maps = {document["metadata"]["name"]: document["data"] for document in of_kind(documents, "ConfigMap")}
    assert yaml.safe_load(maps["safetyamp-rules"]["sync.yaml"]) == {"companies": [1, 2]}
    assert maps["safetyamp-settings"]["SYNC_CONFIG"] == "/etc/safetyamp/sync.yaml"
    pods = pod_specs(documents)
    for name in ("Deployment/safetyamp-code", "Deployment/safetyamp-desk", "Pod/safetyamp-doctor"):
        mounts = {mount["mountPath"]: mount["name"] for mount in pods[name]["spec"]["containers"][0]["volumeMounts"]}
        assert mounts["/etc/safetyamp"] == "rules"


def test_jira_s_instances_and_mapping_reach_every_pod_as_files_and_hold_no_token() -> None:
    jira = {"instances": '[{"name": "site", "url": "https://a.example.com"}]', "mapping": "columns: {}\n"}
    maps = {
        document["metadata"]["name"]: document.get("data")
        for document in of_kind(render("prod", jira=jira), "ConfigMap")
    }
    assert json.loads(maps["safetyamp-rules"]["jira.json"])[0]["name"] == "site"
    assert yaml.safe_load(maps["safetyamp-rules"]["jira-mapping.yaml"]) == {"columns": {}}
    assert maps["safetyamp-settings"]["JIRA_CONFIG_FILE"] == "/etc/safetyamp/jira.json"
    assert maps["safetyamp-settings"]["JIRA_MAPPING"] == "/etc/safetyamp/jira-mapping.yaml"


def test_changed_settings_restart_what_reads_them() -> None:
    def checksum(**overrides: Any) -> list[str]:
        deployments = {
            one["metadata"]["name"]: one["spec"]["template"]["metadata"].get("annotations", {})
            for one in of_kind(render("prod", **overrides), "Deployment")
        }
        return [deployments[f"safetyamp-{part}"]["checksum/settings"] for part in ("code", "desk")]

    assert set(checksum()).isdisjoint(checksum(settings={"LOG_LEVEL": "DEBUG"}))


@pytest.mark.parametrize(("source", "kind"), [("externalSecret", "ExternalSecret"), ("csi", "SecretProviderClass")])
def test_secrets_come_from_the_vault_under_their_names_with_dashes(source: str, kind: str) -> None:
    (document,) = of_kind(
        render("prod", secrets={"source": source, "csi": {"keyVaultName": "v", "tenantId": "t"}}), kind
    )

    assert "SAFETYAMP-TOKEN" in str(document)
    assert "MS_GRAPH-" not in str(document)


@pytest.mark.parametrize(
    ("environment", "overrides", "hook"),
    [
        ("cronjob", {}, "pre-install,pre-upgrade"),
        ("prod", {}, "post-install,pre-upgrade"),  # the Secret is made by this release
        ("dev", {}, "post-install,pre-upgrade"),  # PostgreSQL is
    ],
)
def test_ledger_is_migrated_before_the_new_release_starts(
    environment: str, overrides: dict[str, Any], hook: str
) -> None:
    jobs: list[Document] = of_kind(render(environment, **overrides), "Job")

    assert [job["metadata"]["annotations"]["helm.sh/hook"] for job in jobs] == [hook]
    # Hooks run in the order of their weights, and an uninstall leaves what they made.
    hooks = [
        one["metadata"] for one in render(environment, **overrides) if one["metadata"]["name"] == "safetyamp-migration"
    ]
    assert [int(one["annotations"].get("helm.sh/hook-weight", 0)) for one in hooks] == [-5, 0]
    assert {one["annotations"]["helm.sh/hook-delete-policy"] for one in hooks} == {
        "before-hook-creation,hook-succeeded"
    }


@pytest.mark.parametrize(
    ("environment", "overrides", "expected"),
    [
        ("dev", {}, ["wait", "dagster", "ledger"]),  # PostgreSQL starts at the same time
        ("prod", {}, ["dagster", "ledger"]),
        ("cronjob", {}, ["ledger"]),
        ("cronjob", {"postgresql": {"trial": True}}, ["wait", "ledger"]),
    ],
)
def test_migration_waits_for_a_database_that_starts_with_it(
    environment: str, overrides: dict[str, Any], expected: list[str]
) -> None:
    pod = pod_specs(render(environment, **overrides))["Job/safetyamp-migration"]["spec"]

    assert [each["name"] for each in [*(pod.get("initContainers") or []), *pod["containers"]]] == expected


def test_dagster_has_its_secret_also_where_the_pods_read_the_vault_themselves() -> None:
    def secrets_of(environment: str) -> dict[str, set[str]]:
        pods = pod_specs(render(environment, secrets={"source": "none"}))
        return {
            f"{name}/{each['name']}": {one["secretRef"]["name"] for one in each["envFrom"] if "secretRef" in one}
            for name, pod in pods.items()
            for each in [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]
            if "envFrom" in each and "dagster-" not in name
        }

    found = secrets_of("prod")
    assert len(found) == 5
    assert set(map(frozenset, found.values())) == {frozenset({"safetyamp-secrets"})}
    assert set(map(frozenset, secrets_of("cronjob").values())) == {frozenset()}


def test_the_hook_of_a_first_installation_creates_the_ledger(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    environment = {"LEDGER_URL": f"sqlite:///{ledger}", "SAFETYAMP_ENV_FILE": "/dev/null"}
    (container,) = pod_specs(render("prod"))["Job/safetyamp-migration"]["spec"]["containers"]
    program, *arguments = container["command"]

    results = [CliRunner().invoke(app, arguments, env=environment) for _ in ("an installation", "an upgrade")]

    assert program == "safetyamp"
    assert [result.exit_code for result in results] == [0, 0]
    assert f"{ledger} has the tables of this release" in results[1].stdout
    assert CliRunner().invoke(app, ["status"], env=environment).exit_code == 0


@pytest.mark.parametrize(
    ("environment", "overrides", "host"),
    [
        ("prod", {}, "0.0.0.0"),
        ("staging", {}, "127.0.0.1"),  # nobody logs people in: the pages are for `kubectl port-forward`
        ("prod", {"desk": {"readers": [], "approvers": [], "ingress": {"enabled": False}}}, "127.0.0.1"),
    ],
)
def test_desk_serves_other_machines_only_behind_a_login_proxy(
    environment: str, overrides: dict[str, Any], host: str
) -> None:
    (desk,) = [pod for name, pod in pod_specs(render(environment, **overrides)).items() if name.endswith("-desk")]
    (container,) = desk["spec"]["containers"]

    assert f"--host={host}" in container["command"]
    assert "--metrics-host=0.0.0.0" in container["command"]
    is_public = any(each["name"] == "DESK_USER_HEADER" for each in container.get("env", []))
    assert is_public == (host == "0.0.0.0")


def test_the_pod_in_which_the_docs_try_a_release_is_the_doctor_s_under_another_name() -> None:
    docs = (CHART.parents[1] / "docs/deployment.md").read_text(encoding="utf-8")
    replaced = re.findall(r"s/([^/]+)/([^/]+)/", re.search(r"sed '(s/name: safetyamp-doctor[^']+)'", docs)[1])  # type: ignore[index]
    text = (
        (CHART / "templates/tests/doctor.yaml").read_text(encoding="utf-8").replace("{{ .Values.name }}", "safetyamp")
    )

    for old, _ in replaced:
        assert len(re.findall(old, text)) == 1, old
    assert [new for _, new in replaced] == ["name: canary", '[sleep, "3600"]']


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_desk_is_started_with_options_that_it_has(environment: str) -> None:
    (desk,) = [pod for name, pod in pod_specs(render(environment)).items() if name.endswith("-desk")]
    _, command, *options = desk["spec"]["containers"][0]["command"]

    help_text = CliRunner().invoke(app, [command, "--help"]).stdout
    assert options
    assert [option for option in options if option.split("=")[0] not in help_text] == []
