"""Sensors: what starts or tells something by itself, outside of the schedules. Each is one module."""
