"""Dagster in the chart behaves as dagster.yaml of the repository says, and Dagster itself accepts what it is given."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deployment.charts import CHART, of_kind, render, whole_values

ROOT = Path(__file__).parents[2]


def _instance(dagster: dict[str, Any]) -> dict[str, Any]:
    """The instance configuration that the official chart makes of its values, as far as dagster.yaml speaks of it."""
    daemon, pools, runs = dagster["dagsterDaemon"], dagster["concurrency"]["pools"], dagster["concurrency"]["runs"]
    monitoring = daemon["runMonitoring"]
    return {
        "telemetry": dagster["telemetry"],
        "concurrency": {
            "pools": {"granularity": pools["granularity"], "default_limit": pools["defaultLimit"]},
            "runs": {
                "max_concurrent_runs": runs["maxConcurrentRuns"],
                "tag_concurrency_limits": runs["tagConcurrencyLimits"],
            },
        },
        "sensors": {
            "use_threads": daemon["sensors"]["useThreads"],
            "num_workers": daemon["sensors"]["numWorkers"],
        },
        "run_monitoring": {
            "enabled": monitoring["enabled"],
            "poll_interval_seconds": monitoring["pollIntervalSeconds"],
            "max_runtime_seconds": monitoring["maxRuntimeSeconds"],
            "free_slots_after_run_end_seconds": monitoring["freeSlotsAfterRunEndSeconds"],
        },
        "retention": {
            "schedule": {"purge_after_days": dagster["retention"]["schedule"]["purgeAfterDays"]},
            "sensor": {
                "purge_after_days": {
                    kind: days
                    for kind, days in dagster["retention"]["sensor"]["purgeAfterDays"].items()
                    if days != -1  # kept for ever, as where it is not named
                }
            },
        },
        "python_logs": {
            "managed_python_loggers": dagster["pythonLogs"]["managedPythonLoggers"],
            "python_log_level": dagster["pythonLogs"]["pythonLogLevel"],
        },
        **dagster["additionalInstanceConfig"],
    }


def test_instance_is_the_repository_s() -> None:
    own = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    own.pop("storage")  # PostgreSQL by the chart's own values
    own["run_monitoring"].pop("start_timeout_seconds")  # a pod may have to fetch its image first

    for environment in ("dev", "staging", "prod"):
        assert _instance(whole_values(environment)["dagster"]) == own


def test_storage_uses_the_driver_that_dagster_can_use() -> None:
    assert whole_values("prod")["dagster"]["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_code_location_has_the_password_with_which_sensors_open_the_storage(environment: str) -> None:
    (code,) = [one for one in of_kind(render(environment), "Deployment") if one["metadata"]["name"] == "safetyamp-code"]
    variables = {each["name"]: each for each in code["spec"]["template"]["spec"]["containers"][0]["env"]}

    secret = whole_values(environment)["dagster"]["global"]["postgresqlSecretName"]
    source = variables["DAGSTER_PG_PASSWORD"]["valueFrom"]["secretKeyRef"]
    assert source == {"name": secret, "key": "postgresql-password"}


def _run_job(environment: str) -> dict[str, Any]:
    """The Job that Dagster makes of a run, from the values of its launcher and the context of the code location."""
    # Every class of Kubernetes: a second, for these tests alone.
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import DagsterK8sJobConfig, construct_dagster_k8s_job
    from kubernetes.client import ApiClient

    values = whole_values(environment)["dagster"]["runLauncher"]["config"]["k8sRunLauncher"]
    run = {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower(): each for name, each in values["runK8sConfig"].items()}
    launcher = {
        "labels": values["labels"],
        "resources": values["resources"],
        "security_context": values["securityContext"],
        "run_k8s_config": run,
    }
    (code,) = [one for one in of_kind(render(environment), "Deployment") if one["metadata"]["name"] == "safetyamp-code"]
    variables = code["spec"]["template"]["spec"]["containers"][0]["env"]
    (text,) = [each["value"] for each in variables if each["name"] == "DAGSTER_CONTAINER_CONTEXT"]
    context = K8sContainerContext.create_from_config({"k8s": launcher})
    context = context.merge(K8sContainerContext.create_from_config(json.loads(text)))
    config = DagsterK8sJobConfig(
        job_image="registry.example.com/safetyamp-pipelines:0.1.0",
        dagster_home="/opt/dagster/dagster_home",
        instance_config_map="sync-dagster-instance",
        postgres_password_secret="safetyamp-secrets",
    )
    job = construct_dagster_k8s_job(config, ["dagster"], "run", context.run_k8s_config, component="run_worker")
    found: dict[str, Any] = ApiClient().sanitize_for_serialization(job)
    return found


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_the_pod_of_a_run_is_as_hardened_as_every_other(environment: str) -> None:
    job = _run_job(environment)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    kubernetes_validate.validate(job, "1.31", strict=True)
    assert job["spec"]["backoffLimit"] == 0
    assert pod["serviceAccountName"] == "safetyamp"
    assert pod["automountServiceAccountToken"] is False
    assert pod["terminationGracePeriodSeconds"] == 120
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"/tmp", "/var/lib/safetyamp", "/etc/safetyamp"} <= {each["mountPath"] for each in container["volumeMounts"]}
    assert len({each["name"] for each in pod["volumes"]}) == len(pod["volumes"])
    assert {"configMapRef": {"name": "safetyamp-settings"}} in container["envFrom"]
    assert {"secretRef": {"name": "safetyamp-secrets"}} in container["envFrom"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "run_worker"  # by which the network policies find it
    assert (labels.get("azure.workload.identity/use") == "true") == (environment != "dev")


def test_chart_and_packages_are_of_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    locked = (ROOT / "requirements-image.lock").read_text(encoding="utf-8")

    (wanted,) = [each["version"] for each in chart["dependencies"] if each["name"] == "dagster"]
    assert f"\ndagster=={wanted} " in locked


def test_chart_and_package_are_of_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    project = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert project is not None
    assert chart["version"] == chart["appVersion"] == whole_values("prod")["image"]["tag"] == project[1]
