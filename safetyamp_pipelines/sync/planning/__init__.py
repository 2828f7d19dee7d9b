"""From snapshots to a plan."""
