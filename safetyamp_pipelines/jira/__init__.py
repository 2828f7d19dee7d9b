"""Jira: the issues of any number of Jira instances in one SQL table, through a mapping of fields to columns.

In the order of the flow: `instances` and `api` read Jira, `field_mapping` and `values` make rows, `issue_tables` and
`book` keep them; `forward`, `presence` and `changelog` are the three reads of a `scope`, `partitions` runs them side by
side; `discovery` helps to write a mapping, and `questions` answers.
"""
