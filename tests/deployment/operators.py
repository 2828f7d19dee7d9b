"""The shapes of operators' resources, which Kubernetes' own schemas do not carry, as far as this chart uses them: what
the published CRDs require and the fields they know, written down by hand. A field that is not here is refused."""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
DURATION: dict[str, Any] = {"type": "string", "pattern": r"^([0-9]+(ms|[smhdwy]))+$"}
LABELS: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}


def some(required: str, **properties: Any) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "required": required.split(),
        "additionalProperties": False,
        "properties": properties,
    }


def several(one: dict[str, Any]) -> dict[str, Any]:
    """A list with at least one."""
    return {"type": "array", "minItems": 1, "items": one}


SELECTOR = some("matchLabels", matchLabels={**LABELS, "minProperties": 1})
ENDPOINT = some("port", port=TEXT, path=TEXT, interval=DURATION, scrapeTimeout=DURATION)
# A rule is an alert or a recording, never both; `for` goes with an alert.
RULE = {
    **some("expr", alert=TEXT, record=TEXT, expr=TEXT, labels=LABELS, annotations=LABELS, **{"for": DURATION}),
    "oneOf": [{"required": ["alert"]}, {"required": ["record"], "not": {"required": ["for"]}}],
}
STORE = some("name", name=TEXT, kind={"enum": ["SecretStore", "ClusterSecretStore"]})
SPECS: dict[tuple[str, str], dict[str, Any]] = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): some(
        "selector endpoints", selector=SELECTOR, endpoints=several(ENDPOINT)
    ),
    ("monitoring.coreos.com/v1", "PodMonitor"): some(
        "selector podMetricsEndpoints", selector=SELECTOR, podMetricsEndpoints=several(ENDPOINT)
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): some(
        "groups", groups=several(some("name rules", name=TEXT, interval=DURATION, rules=several(RULE)))
    ),
    ("external-secrets.io/v1", "ExternalSecret"): some(
        "secretStoreRef data",
        refreshInterval=DURATION,
        secretStoreRef=STORE,
        target=some("name", name=TEXT, creationPolicy={"enum": ["Owner", "Orphan", "Merge", "None"]}),
        data=several(some("secretKey remoteRef", secretKey=TEXT, remoteRef=some("key", key=TEXT))),
    ),
    ("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass"): some(
        "provider parameters",
        provider={"const": "azure"},
        parameters=some(
            "keyvaultName tenantId objects",
            **dict.fromkeys(("keyvaultName", "tenantId", "clientID", "objects"), TEXT),
        ),
        secretObjects=several(
            some(
                "secretName type data",
                secretName=TEXT,
                type={"const": "Opaque"},
                data=several(some("objectName key", objectName=TEXT, key=TEXT)),
            )
        ),
    ),
}
