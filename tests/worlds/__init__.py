"""Random worlds: stories of payroll, people at their screens and broken networks, played in virtual time without HTTP.

`make worlds` plays ten thousand; the tests here play some hundred.
"""
