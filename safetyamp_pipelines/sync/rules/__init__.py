"""`sync.yaml`: the business rules."""
