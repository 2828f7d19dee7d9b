"""The words of the domain: snapshots, records, plans, declarations, errors."""
