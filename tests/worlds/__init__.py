"""Random worlds: stories of payroll, people at their screens and broken networks, played in virtual time without HTTP.

`python -m worlds 10000 [SEED]` (from `tests/`) plays ten thousand; the tests here play some hundred.
"""
