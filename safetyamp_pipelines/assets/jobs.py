"""The plan for sites from jobs, and its push."""

from safetyamp_pipelines.assets.entities import plan_asset, push_asset
from safetyamp_pipelines.sync.entities.jobs import SPEC

plan_jobs = plan_asset(SPEC)
push_sites = push_asset(SPEC)
