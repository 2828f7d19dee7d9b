"""What a run survives: every call of a whole run spoilt in every way, and what became of SafetyAmp afterwards.

`make faults` tries all of it and writes docs/reliability.md; the tests here try a part.
"""
