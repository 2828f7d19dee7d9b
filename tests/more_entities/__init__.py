"""Entities that the package does not have, each declared in one module, and a story that they go through."""
