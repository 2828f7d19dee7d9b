"""Carrying a plan out, change by change."""
