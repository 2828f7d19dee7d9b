"""The plan for site clusters from departments, and its push."""

from safetyamp_pipelines.assets.entities import plan_asset, push_asset
from safetyamp_pipelines.sync.entities.departments import SPEC

plan_departments = plan_asset(SPEC)
push_site_clusters = push_asset(SPEC)
