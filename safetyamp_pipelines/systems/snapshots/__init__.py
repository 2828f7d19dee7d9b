"""The store of snapshots and plans."""
