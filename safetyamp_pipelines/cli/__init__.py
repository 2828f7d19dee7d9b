"""The shell: `safetyamp ...` and the demo."""
