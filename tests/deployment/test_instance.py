"""Dagster in the chart behaves as dagster.yaml of the repository says, and Dagster itself accepts what it is given."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext

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

    for environment in ("dev", "staging", "prod"):
        assert _instance(whole_values(environment)["dagster"]) == own


def test_storage_uses_the_driver_that_dagster_can_use() -> None:
    assert whole_values("prod")["dagster"]["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"


def test_dagster_takes_the_context_of_run_pods() -> None:
    (code,) = [one for one in of_kind(render("prod"), "Deployment") if one["metadata"]["name"] == "safetyamp-code"]
    variables = code["spec"]["template"]["spec"]["containers"][0]["env"]
    (text,) = [each["value"] for each in variables if each["name"] == "DAGSTER_CONTAINER_CONTEXT"]

    context = K8sContainerContext.create_from_config(json.loads(text))
    assert context.namespace == "safetyamp"
    pod = context.run_k8s_config
    assert pod.pod_spec_config["service_account_name"] == "safetyamp"
    sources = pod.container_config["env_from"]
    assert [each["config_map_ref"]["name"] for each in sources if "config_map_ref" in each] == ["safetyamp-settings"]


def test_dagster_takes_the_configuration_of_the_run_launcher() -> None:
    """In snake case, as the official chart writes it into dagster.yaml."""
    values = whole_values("prod")["dagster"]["runLauncher"]["config"]["k8sRunLauncher"]
    run = {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower(): each for name, each in values["runK8sConfig"].items()}
    context = K8sContainerContext.create_from_config(
        {
            "k8s": {
                "labels": values["labels"],
                "resources": values["resources"],
                "security_context": values["securityContext"],
                "run_k8s_config": run,
            }
        }
    )

    assert context.run_k8s_config.pod_spec_config["automount_service_account_token"] is False
    assert context.run_k8s_config.pod_spec_config["termination_grace_period_seconds"] == 120
    assert "run_k8s_config" in K8sRunLauncher.config_type()


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
