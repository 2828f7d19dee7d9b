"""The plan for user titles from titles, and its push."""

from safetyamp_pipelines.assets.entities import plan_asset, push_asset
from safetyamp_pipelines.sync.entities.titles import SPEC

plan_titles = plan_asset(SPEC)
push_user_titles = push_asset(SPEC)
