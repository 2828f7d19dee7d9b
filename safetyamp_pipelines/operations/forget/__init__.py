"""Erases a person's values from the ledger and every stored snapshot."""
