"""Alerts: which problems there are, their messages, what was sent already, and the channels."""
