"""The clients of all outside systems, to be imported where a run first asks for one: they bring their libraries."""

from safetyamp_pipelines.systems.entra import graph_client
from safetyamp_pipelines.systems.safetyamp import safetyamp_client
from safetyamp_pipelines.systems.samsara import samsara_client
from safetyamp_pipelines.systems.viewpoint.reader import viewpoint_reader

__all__ = ["graph_client", "safetyamp_client", "samsara_client", "viewpoint_reader"]
