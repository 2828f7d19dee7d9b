"""The chart's values.schema.json: its shape from values.yaml, its settings from the settings model.

cd tests && python -m deployment.schema
"""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import SecretStr

from safetyamp_pipelines.settings.model import Settings, variable_of

CHART = Path(__file__).parents[2] / "helm" / "safetyamp-pipelines"

CHOICES: dict[str, list[str]] = {
    "mode": ["dagster", "cronjob"],
    "image.pullPolicy": ["Always", "IfNotPresent", "Never"],
    "secrets.source": ["existing", "externalSecret", "csi", "none"],
    "snapshots.kind": ["blob", "pvc"],
    "monitoring.scrape": ["none", "serviceMonitor", "podMonitor"],
}
FREE = {  # maps whose keys are the user's
    "serviceAccount.annotations",
    "resources",
    "code.resources",
    "desk.resources",
    "desk.ingress.annotations",
    "monitoring.labels",
    "monitoring.dashboardLabels",
    "secrets.externalSecret.storeRef",
    "dagster",
}
OTHERS = r"^(AZURE_(CLIENT_ID|TENANT_ID|TOKEN_CREDENTIALS|STORAGE_ACCOUNT_NAME)|OTEL_[A-Z_]+|SSL_CERT_FILE)$"
"""Variables that libraries read, which may stand in the ConfigMap as well."""


def schema() -> dict[str, Any]:
    """The whole document."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    found = _shape(values, "")
    found["properties"]["settings"] = settings_schema()
    found["properties"]["global"] = {"type": "object"}
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "safetyamp-pipelines", **found}


def settings_schema() -> dict[str, Any]:
    """Every setting that is not a secret, by its variable; a secret does not belong in a ConfigMap and is refused."""
    known = {
        variable_of(name): _of_type(field.annotation)
        for name, field in Settings.model_fields.items()
        if not _is_secret(field.annotation) and name not in ("data_dir", "sync_config_path")
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(sorted(known.items())),
        "patternProperties": {OTHERS: {"type": "string"}},
    }


def _shape(value: Any, path: str) -> dict[str, Any]:
    if isinstance(value, dict):
        if path in FREE:
            return {"type": "object"}
        properties = {name: _shape(inner, f"{path}.{name}".lstrip(".")) for name, inner in value.items()}
        return {"type": "object", "additionalProperties": False, "properties": properties}
    if path in CHOICES:
        return {"enum": CHOICES[path]}
    if isinstance(value, list):
        return {"type": "array"}
    if isinstance(value, bool):
        return {"type": "boolean"}
    return {"type": "integer", "minimum": 0} if isinstance(value, int) else {"type": "string"}


def _plain(annotation: Any) -> set[Any]:
    """The types an annotation comes down to."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return set().union(*map(_plain, get_args(annotation)))
    return {annotation}


def _is_secret(annotation: Any) -> bool:
    return SecretStr in _plain(annotation)


def _of_type(annotation: Any) -> dict[str, Any]:
    kinds = _plain(annotation)
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    if words:
        return {"enum": words}
    if int in kinds:
        return {"type": ["integer", "string"], "pattern": r"^\d+$", "minimum": 1}
    if float in kinds:
        return {"type": ["number", "string"], "exclusiveMinimum": 0}
    return {"type": "string"}


def text() -> str:
    """The document as it is stored."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    (CHART / "values.schema.json").write_text(text(), encoding="utf-8")
