"""What the UI shows about an entity, from its declaration: the field mapping table, columns and their lineage."""

from typing import Any

import dagster as dg

from safetyamp_pipelines.resources.keys import asset_key
from safetyamp_pipelines.sync.model.mapping import source_label
from safetyamp_pipelines.sync.model.spec import EntitySpec, Field

MAPPING_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("field", "string", description="name written to SafetyAmp"),
        dg.TableColumn("read as", "string", description="where SafetyAmp shows it"),
        dg.TableColumn("from", "string", description="sources in order of preference"),
        dg.TableColumn("cleaned as", "string"),
        dg.TableColumn("rules", "string"),
        dg.TableColumn("policy", "string", description="who wins when both sides differ"),
        dg.TableColumn(
            "empty source", "string", description="its effect: clears the field, or SafetyAmp keeps its value"
        ),
    ]
)

COLUMN_TYPES = {"text": "string", "key": "string", "as_is": "int", "gender": "int", "number": "string"}


def field_mapping(spec: EntitySpec) -> dict[str, Any]:
    """Definition metadata: the mapping table, SafetyAmp's columns, and where each column comes from."""
    records = [
        dg.TableRecord(
            {
                "field": field.name,
                "read as": field.read or "(never shown)",
                "from": ", then ".join(source_label(source) for source in field.sources),
                "cleaned as": field.clean,
                "rules": _rules(field),
                "policy": str(field.policy),
                "empty source": field.when_empty,
            }
        )
        for field in spec.fields
    ]
    return {
        "field_mapping": dg.MetadataValue.table(records, schema=MAPPING_SCHEMA),
        "match_keys": ", then ".join(["link", *(key.name for key in spec.match)]),
        "dagster/column_schema": _schema(spec),
        "dagster/column_lineage": _lineage(spec),
    }


def _rules(field: Field) -> str:
    rules = [
        "required" if field.required else "",
        f"unique ({field.unique})" if field.unique else "",
        f"refers to {field.references}" if field.references else "",
    ]
    return ", ".join(filter(None, rules))


def _type(field: Field) -> str:
    """The column's type in the UI: what it refers to, or how it is cleaned."""
    return f"id of {field.references}" if field.references else COLUMN_TYPES.get(field.clean, field.clean)


def _schema(spec: EntitySpec) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[dg.TableColumn(field.name, _type(field), description=_origin(field)) for field in spec.fields]
    )


def _origin(field: Field) -> str:
    """`E-mail ← Entra mail, else Viewpoint Email`."""
    return f"{field.label} ← {', else '.join(map(source_label, field.sources))}" if field.sources else field.label


def _lineage(spec: EntitySpec) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        deps_by_column={
            field.name: [
                dg.TableColumnDep(asset_key=asset_key(table), column_name=column)
                for table, _, column in (source.partition(".") for source in field.sources)
                if "/" in table
            ]
            for field in spec.fields
        }
    )
