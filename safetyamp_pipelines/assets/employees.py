"""The plan for users from employees, and its push."""

from safetyamp_pipelines.assets.entities import plan_asset, push_asset
from safetyamp_pipelines.sync.entities.employees import SPEC

plan_employees = plan_asset(SPEC)
push_users = push_asset(SPEC)
