"""The desk: pages for people without Dagster, and endpoints for machines, on `operations/`."""
