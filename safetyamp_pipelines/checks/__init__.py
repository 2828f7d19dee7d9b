"""Asset checks: validation that people see. Blocking ones with severity ERROR stop what depends on the asset."""
