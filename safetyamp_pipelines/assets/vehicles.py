"""The plan for assets from vehicles, and its push."""

from safetyamp_pipelines.assets.entities import plan_asset, push_asset
from safetyamp_pipelines.sync.entities.vehicles import SPEC

plan_vehicles = plan_asset(SPEC)
push_assets = push_asset(SPEC)
