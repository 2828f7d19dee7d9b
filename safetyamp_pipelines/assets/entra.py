"""Snapshot of Microsoft Entra ID: the enabled accounts, for e-mail, telephone numbers and managers."""

import dagster as dg

from safetyamp_pipelines.resources.keys import OWNERS, asset_key, now_text
from safetyamp_pipelines.resources.settings import SettingsResource
from safetyamp_pipelines.resources.systems import Graph
from safetyamp_pipelines.settings.logs import log_context
from safetyamp_pipelines.sync.model.snapshot import Snapshot


@dg.asset(
    key=asset_key("entra/users"),
    group_name="entra",
    kinds={"azure", "parquet"},
    owners=OWNERS,
    description="Enabled accounts of Microsoft Entra ID as Graph lists them."
    "\n\nRed? Run `safetyamp doctor`: it tells whether login, consent (User.Read.All) or network is at fault.",
)
def entra_users(context: dg.AssetExecutionContext, graph: Graph, sync_settings: SettingsResource) -> Snapshot:
    """Read every page; a page that fails or repeats is an error, never a shorter list."""
    expand_manager = sync_settings.get().sync_config().entra.expand_manager
    client = graph.client()
    with log_context(run_id=context.run_id):
        snapshot = client.list_users(read_at=now_text(), expand_manager=expand_manager)
    context.add_output_metadata({"calls": client.http.calls})
    return snapshot
