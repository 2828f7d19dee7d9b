"""Hostile values and answers: a table of system × field × poison with what must come of each, and fuzzing. The whole
of it is `python -m hostile` (in tests/); the suite runs a sample.
"""
