"""Rendering the chart with Helm itself.

The official Dagster chart is not in this repository. DAGSTER_CHART names the folder of an unpacked copy of it, of the
version that Chart.yaml pins: then all tests of this folder see the whole.

helm pull dagster --repo https://dagster-io.github.io/helm --version 1.13.27 --untar
DAGSTER_CHART=$PWD/dagster pytest tests/deployment
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

from deployment.schema import CHART

ENVIRONMENTS = ("dev", "staging", "prod", "cronjob")
Document = dict[str, Any]


OFFICIAL = os.environ.get("DAGSTER_CHART")


@cache
def own_chart() -> Path:
    """A copy with the official chart in it, or without the dependency."""
    copy = Path(tempfile.mkdtemp(prefix="chart-")) / CHART.name
    shutil.copytree(CHART, copy)
    metadata = yaml.safe_load((copy / "Chart.yaml").read_text(encoding="utf-8"))
    if OFFICIAL is None:
        metadata.pop("dependencies")
    else:
        # Its schemas refer to pages of the internet.
        shutil.copytree(OFFICIAL, copy / "charts" / "dagster", ignore=shutil.ignore_patterns("values.schema.json"))
        found = yaml.safe_load((Path(OFFICIAL) / "Chart.yaml").read_text(encoding="utf-8"))
        metadata["dependencies"][0]["version"] = found["version"]
    (copy / "Chart.yaml").write_text(yaml.safe_dump(metadata), encoding="utf-8")
    return copy


def values(environment: str) -> dict[str, Any]:
    """What `values/` sets for an environment, or nothing but what an installation must set."""
    if environment == "defaults":
        return {"snapshots": {"url": "abfs://c@a.dfs.core.windows.net/x"}}
    found: dict[str, Any] = yaml.safe_load((CHART / "values" / f"{environment}.yaml").read_text(encoding="utf-8"))
    return found


def merged(low: Any, high: Any) -> Any:
    """As Helm merges values: maps by key, everything else replaced."""
    if not (isinstance(low, dict) and isinstance(high, dict)):
        return high
    return {**low, **{name: merged(low.get(name), inner) for name, inner in high.items()}}


def whole_values(environment: str) -> dict[str, Any]:
    """The defaults of values.yaml with an environment's on top."""
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    found: dict[str, Any] = merged(defaults, values(environment))
    return found


def render(environment: str, **overrides: Any) -> list[Document]:
    """The documents of a release named `sync` in namespace `safetyamp`."""
    found: list[Document] = json.loads(_rendered(json.dumps(merged(values(environment), overrides))))
    return found


@cache
def _rendered(given: str) -> str:
    with helm_python.Chart.load(str(own_chart())) as chart:
        chart.validate_schema(json.loads(given))
        files = chart.render(json.loads(given), name="sync", namespace="safetyamp")
    texts = [text for path, text in sorted(files.items()) if path.endswith(".yaml")]
    return json.dumps([document for text in texts for document in yaml.load_all(text, yaml.CSafeLoader) if document])


def of_kind(documents: list[Document], kind: str) -> list[Document]:
    """Those of one kind."""
    return [document for document in documents if document["kind"] == kind]


def pod_specs(documents: list[Document]) -> dict[str, Document]:
    """Every pod template by kind and name: metadata and spec of the pod."""
    found = {}
    for document in documents:
        spec = document.get("spec", {})
        if document["kind"] == "Pod":
            pod = document
        elif document["kind"] == "CronJob":
            pod = spec["jobTemplate"]["spec"]["template"]
        elif document["kind"] in ("Deployment", "StatefulSet", "Job"):
            pod = spec["template"]
        else:
            continue
        found[f"{document['kind']}/{document['metadata']['name']}"] = pod
    return found
