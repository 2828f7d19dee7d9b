"""Dagster's events as signals, and the one sensor that sends the alerts."""
