"""Alerts: what is a problem, who was told of it, and in which words. Sending is the notifier's (resources/)."""
