"""The Alembic environment of the ledger. A package, so that the revisions are installed with the code."""
