"""The pure domain: what SafetyAmp should say, how it differs, and how a plan is carried out.

Nothing here knows Dagster, HTTP, the environment or the clock.
"""
