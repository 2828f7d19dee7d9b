"""The one HTTP client: calls, retries, answers, the call budget."""
