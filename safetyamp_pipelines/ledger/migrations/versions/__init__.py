"""The ledger's revisions, oldest first. One that was released is never edited; the next one follows it."""
