"""Viewpoint Vista: engine, queries, errors, reader."""
