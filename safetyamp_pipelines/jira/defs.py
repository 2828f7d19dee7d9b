"""The one line by which Dagster takes Jira in: nothing of it is loaded or shown where no instance is configured."""

from __future__ import annotations

from importlib import import_module

import dagster as dg

from safetyamp_pipelines.settings.loading import TimingSettings


def with_jira(defs: dg.Definitions, timing: TimingSettings) -> dg.Definitions:
    """The definitions, with the assets, checks, jobs and schedules of Jira where an instance is configured."""
    if timing.jira_minutes is None:
        return defs
    # The module brings SQLAlchemy and requests, which loading the definitions does without where there is no Jira.
    assets = import_module("safetyamp_pipelines.jira.assets")
    return dg.Definitions.merge(defs, assets.jira_definitions(timing))
