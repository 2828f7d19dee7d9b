"""The assets: thin functions that read inputs, call `sync/` and return results with metadata. Rules live in `sync/`."""
