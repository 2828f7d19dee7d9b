"""An embedded world to develop and test against: SafetyAmp, Samsara, Microsoft login and Graph as real servers on
127.0.0.1, Viewpoint as a SQLite file. It shares no code with the rest of the package: it is the referee, not a mirror.
"""

from safetyamp_pipelines.sandbox.box import Sandbox
from safetyamp_pipelines.sandbox.faults import FaultRule
from safetyamp_pipelines.sandbox.graph import GraphOptions
from safetyamp_pipelines.sandbox.jira_state import JiraSpec
from safetyamp_pipelines.sandbox.requestlog import RequestRecord
from safetyamp_pipelines.sandbox.safetyamp_options import TargetOptions
from safetyamp_pipelines.sandbox.samsara import SamsaraOptions
from safetyamp_pipelines.sandbox.world import WorldSpec

__all__ = [
    "FaultRule",
    "GraphOptions",
    "JiraSpec",
    "RequestRecord",
    "SamsaraOptions",
    "Sandbox",
    "TargetOptions",
    "WorldSpec",
]
