"""Runs the ledger's migrations on the connection that `ledger.database.migrate` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from safetyamp_pipelines.ledger.database import VERSION_TABLE

given = context.config.attributes
context.configure(connection=given["connection"], version_table=given.get("version_table", VERSION_TABLE))
with context.begin_transaction():
    context.run_migrations()
