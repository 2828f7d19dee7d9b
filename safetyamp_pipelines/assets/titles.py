"""The plan for user titles from titles, and its push."""

from safetyamp_pipelines.assets.synced import plan_asset, push_asset
from safetyamp_pipelines.sync.titles import SPEC

plan_titles = plan_asset(SPEC)
push_user_titles = push_asset(SPEC)
