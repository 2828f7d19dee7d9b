"""Dagster resources that wrap a system each, the IO manager, and the names of assets, pools and tags."""
