"""Everything that talks to an outside system: the clients, the stores and the Dagster resources around them.

No business rule lives here: what a record means is decided in `sync/`.
"""
