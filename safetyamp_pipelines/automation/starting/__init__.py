"""When a sync starts and why not: schedules and sensors."""
