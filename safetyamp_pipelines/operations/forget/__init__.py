"""Takes a person's values out of the ledger and of every kept snapshot."""
