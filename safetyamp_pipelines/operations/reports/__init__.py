"""What changed on a day, from the ledger."""
