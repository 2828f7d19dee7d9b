"""Reports of what was changed, made from the ledger alone. They ask no outside system and hold no person's value."""
