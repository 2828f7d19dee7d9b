"""The entities, one file each, and their registry."""
