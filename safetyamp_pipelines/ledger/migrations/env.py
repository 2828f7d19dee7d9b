"""Runs the ledger's migrations on the connection that `ledger.database.migrate` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from safetyamp_pipelines.ledger.database import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
