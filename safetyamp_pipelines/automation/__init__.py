"""When things happen by themselves: jobs, schedules, sensors, housekeeping, and Dagster's events as alerts."""
